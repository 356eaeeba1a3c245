"""Metrics as whoever scrapes them reads them."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families


class Scrape(dict[str, float]):
    """Samples by name and labels, `name{label=value,...}`; what is not there is 0."""

    def __missing__(self, key: str) -> float:
        return 0.0

    def since(self, before: Scrape) -> Scrape:
        """Return how much each sample has grown."""
        return Scrape({key: value - before[key] for key, value in self.items()})


def scraped(text: str) -> Scrape:
    """Return the samples of a page of metrics."""
    found = Scrape()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def scrape(url: str, token: str | None = None, authority: Path | None = None) -> Scrape:
    """Return the samples of a service, which may ask for a token and speak TLS."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    trusted = True if authority is None else ssl.create_default_context(cafile=authority)
    answer = httpx.get(f"{url}/metrics", headers=headers, verify=trusted, timeout=30)
    return scraped(answer.raise_for_status().text)
