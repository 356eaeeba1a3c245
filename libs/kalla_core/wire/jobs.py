"""The messages of `jobs.proto` and the JSON they mirror, one place each way.

Requests become the same document that HTTP takes, so that one parser reads both and says the same
of what is wrong with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kalla_core.errors import Fault, RecipeInvalid
from kalla_core.jobs.document import executor_document, job_document
from kalla_core.jobs.model import ExecutorInfo, Job, JobPage
from kalla_core.recipe.job import JobRequest, parse_job_request
from kalla_core.recipe.jsontext import read_json
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import parse_document
from kalla_core.recipe.paths import path_text
from kalla_core.wire.generated import common_pb2, jobs_pb2

Json = dict[str, Any]


def submit_message(request: Mapping[str, Any]) -> jobs_pb2.SubmitJobRequest:
    """Return a request that HTTP would take, checked for its shape before, as a message."""
    message = jobs_pb2.SubmitJobRequest(
        run_id=request["run_id"],
        output_path=request.get("output_path") or "",
        callback_url=request.get("callback_url") or "",
    )
    if "recipe" in request:
        message.recipe_json = json.dumps(request["recipe"], ensure_ascii=False)
        return message
    parts = message.parts
    for name in _PART_TEXTS:
        setattr(parts, name, request.get(name) or "")
    parts.sources.extend(_source_message(one) for one in request["sources"])
    for alias, columns in request["primary_keys"].items():
        parts.primary_keys[alias].columns.extend(columns)
    parts.extras.extend(_source_message(one) for one in request.get("extras") or ())
    if request.get("options"):
        parts.options.CopyFrom(_options_message(request["options"]))
    return message


def submit_request(message: jobs_pb2.SubmitJobRequest) -> JobRequest:
    """Return what a message asks for.

    Raises:
        RecipeInvalid: with all faults; paths are those of the HTTP request.
    """
    document: Json = {
        "run_id": message.run_id,
        "output_path": message.output_path or None,
        "callback_url": message.callback_url or None,
    }
    if message.WhichOneof("what") == "recipe_json":
        return parse_job_request({**document, "recipe": _json(message.recipe_json, ("recipe",))})
    return parse_job_request({**document, **_parts_document(message.parts)})


def explain_request(message: jobs_pb2.ExplainJobRequest) -> Recipe:
    """Return the recipe that is to be explained.

    Raises:
        RecipeInvalid: with all faults.
    """
    return parse_document(*read_json(message.recipe_json))


def job_message(job: Job) -> jobs_pb2.Job:
    """Return a job as a message."""
    document = job_document(job)
    error = document.pop("error")
    stages = document.pop("stages")
    workers = document.pop("workers")
    passes = document.pop("passes")
    message = jobs_pb2.Job(
        stages=[jobs_pb2.StageProgress(**_said(stage)) for stage in stages],
        workers=[jobs_pb2.ExecutorShare(**worker) for worker in workers],
        passes=[_pass_message(one) for one in passes],
        counts=jobs_pb2.Counts(**_said(document.pop("counts"))),
        **_said(document),
    )
    if error is not None:
        message.error.CopyFrom(_failure(error))
    return message


def _pass_message(document: Json) -> jobs_pb2.PassFigures:
    sides = {name: jobs_pb2.BothSides(**document[name]) for name in ("rows", "left_over")}
    amounts = [jobs_pb2.PassAmount(**_said(one)) for one in document["amounts"]]
    return jobs_pb2.PassFigures(**{**_said(document), **sides, "amounts": amounts})


def page_message(page: JobPage) -> jobs_pb2.ListJobsResponse:
    """Return a page of jobs as a message."""
    jobs = [job_message(job) for job in page.jobs]
    return jobs_pb2.ListJobsResponse(jobs=jobs, cursor=page.cursor or "")


def executors_message(executors: Iterable[ExecutorInfo]) -> jobs_pb2.ListExecutorsResponse:
    """Return executors as a message."""
    listed = [jobs_pb2.Executor(**executor_document(one)) for one in executors]
    return jobs_pb2.ListExecutorsResponse(executors=listed)


def explanation_message(document: Mapping[str, Any]) -> jobs_pb2.ExplainJobResponse:
    """Return an explanation, as HTTP answers it, as a message."""
    rules = [
        jobs_pb2.Rule(**{**rule, "keys": _key_pairs(rule["keys"])}) for rule in document["rules"]
    ]
    rest = {name: value for name, value in document.items() if name not in ("keys", "rules")}
    keys = _key_pairs(document["keys"])
    return jobs_pb2.ExplainJobResponse(keys=keys, rules=rules, **_said(rest))


def _key_pairs(pairs: Iterable[Mapping[str, str]]) -> list[jobs_pb2.KeyPair]:
    return [jobs_pb2.KeyPair(**pair) for pair in pairs]


_PART_TEXTS = ("recipe_id", "name", "description", "match_sql", "match_description", "groups")


def _parts_document(parts: jobs_pb2.JobParts) -> Json:
    document: Json = {name: getattr(parts, name) or None for name in _PART_TEXTS}
    document["match_sql"] = parts.match_sql
    document["sources"] = _source_documents(parts.sources, "sources")
    document["extras"] = _source_documents(parts.extras, "extras")
    document["primary_keys"] = {
        alias: list(names.columns) for alias, names in parts.primary_keys.items()
    }
    if parts.HasField("options"):
        document["options"] = _options_document(parts.options)
    return document


def _source_documents(sources: Iterable[jobs_pb2.Source], place: str) -> list[Json]:
    return [_source_document(one, (place, index)) for index, one in enumerate(sources)]


def _source_document(source: jobs_pb2.Source, location: Sequence[str | int]) -> Json:
    document: Json = {
        "alias": source.alias,
        "uri": source.uri,
        "schema": list(source.schema) or None,
        "filters": [
            {
                "column": one.column,
                "op": one.op,
                "value": _json(one.value_json, (*location, "filters", index, "value")),
            }
            for index, one in enumerate(source.filters)
        ],
        "types": dict(source.types),
    }
    for name, text in (("format", source.format_json), ("carry", source.carry_json)):
        if text:
            document[name] = _json(text, (*location, name))
    return {**document, "type": source.type} if source.type else document


def _options_document(options: jobs_pb2.Options) -> Json:
    return {
        "engine": options.engine or None,
        "overwrite": options.overwrite,
        "single_file": options.single_file,
        "partitions": options.partitions if options.HasField("partitions") else None,
        "buckets": options.buckets if options.HasField("buckets") else None,
        "timeout_s": options.timeout_s if options.HasField("timeout_s") else None,
        "max_pairs_per_row": options.max_pairs_per_row
        if options.HasField("max_pairs_per_row")
        else None,
    }


def _source_message(source: Mapping[str, Any]) -> jobs_pb2.Source:
    filters = [
        jobs_pb2.Filter(column=one["column"], op=one["op"], value_json=json.dumps(one["value"]))
        for one in source.get("filters") or ()
    ]
    message = jobs_pb2.Source(
        alias=source["alias"],
        type=source.get("type") or "",
        uri=source.get("uri") or "",
        filters=filters,
        types=source.get("types") or {},
        format_json=json.dumps(source["format"]) if source.get("format") else "",
        carry_json=json.dumps(source["carry"]) if source.get("carry") else "",
    )
    message.schema.extend(source.get("schema") or ())
    return message


def _options_message(options: Mapping[str, Any]) -> jobs_pb2.Options:
    said = {name: value for name, value in options.items() if value not in (None, "auto")}
    return jobs_pb2.Options(**said)


def _json(text: str, location: Sequence[str | int]) -> object:
    """Read JSON that stands in a field, its faults told with the field's place."""
    try:
        value, repeated = read_json(text)
    except RecipeInvalid as error:
        raise RecipeInvalid([_at(location, one) for one in error.faults], "request") from error
    if repeated:
        raise RecipeInvalid([_at(location, one, below=True) for one in repeated], "request")
    return value


def _at(location: Sequence[str | int], fault: Fault, *, below: bool = False) -> Fault:
    place = path_text(location)
    return replace(fault, path=f"{place}.{fault.path}" if below else place)


def _failure(error: Mapping[str, Any]) -> jobs_pb2.JobFailure:
    failure = common_pb2.Failure(
        code=error["code"],
        message=error["message"],
        details_json=json.dumps({"details": error["details"]}, ensure_ascii=False, default=str),
    )
    return jobs_pb2.JobFailure(failure=failure, stage=error["stage"] or "")


def _said(document: Mapping[str, Any]) -> Json:
    return {name: value for name, value in document.items() if value is not None}
