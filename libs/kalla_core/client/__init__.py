"""Talking to a coordinator from Python: submit a job, watch it, fetch its evidence.

    from kalla_core.client import Client

    async with Client("http://localhost:8080") as kalla:
        run_id = await kalla.submit(recipe)
        async for job in kalla.watch(run_id):
            print(job.status, job.stage)
        await kalla.fetch(run_id, Path("out"))

    client    what can be asked
    calls     requests over HTTP: which are tried again, what their errors are
    events    server-sent events
    download  evidence into a folder, checked by its hashes

Every error is a `KallaError` of the class it had on the coordinator. Asyncio.
"""

from kalla_core.client.client import Client

__all__ = ["Client"]
