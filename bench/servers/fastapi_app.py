"""FastAPI: pictures are classified on $POOL_THREADS threads, or in the event loop if that is 0."""
import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI, Request
from squeezenet import classify, load

app = FastAPI()
session = load()
pool_threads = int(os.environ["POOL_THREADS"])
pool = ThreadPoolExecutor(pool_threads) if pool_threads else None


@app.get("/readyz")
async def ready():
    return {}


@app.post("/v1/classify")
async def classify_picture(request: Request):
    jpeg = await request.body()
    if not pool:
        return classify(session, jpeg)
    return await asyncio.get_running_loop().run_in_executor(pool, classify, session, jpeg)
