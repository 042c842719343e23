"""The peer: a run per clip, as one writes it first. Each run creates its task, waits for it, and downloads the film."""

import os
import time
from pathlib import Path

import dagster as dg
import httpx

CLIPS = dg.StaticPartitionsDefinition([f"clip-{number}" for number in range(int(os.environ["BENCH_RUNS"]))])
SERVICE, FRAME, FILMS = os.environ["BENCH_SERVICE"], os.environ["BENCH_FRAME"], Path(os.environ["BENCH_FILMS"])
POLL_S = 1.0


@dg.asset(partitions_def=CLIPS)
def video(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    body = {
        "model": "wan2.2-kf2v-flash",
        "input": {"first_frame_url": FRAME, "last_frame_url": FRAME, "prompt": context.partition_key},
        "parameters": {"resolution": "480P"},
    }
    headers = {"Authorization": "Bearer sk-bench", "X-DashScope-Async": "enable"}
    with httpx.Client(base_url=f"{SERVICE}/", headers=headers, trust_env=False) as client:
        output = client.post("services/aigc/image2video/video-synthesis", json=body).raise_for_status().json()["output"]
        while output["task_status"] != "SUCCEEDED":
            time.sleep(POLL_S)  # what is measured polls: this is how a run per clip is written
            output = client.get(f"tasks/{output['task_id']}").raise_for_status().json()["output"]
        film = httpx.get(output["video_url"], trust_env=False).raise_for_status().content
    path = FILMS / f"{context.partition_key}.mp4"
    path.write_bytes(film)
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(path), "task_id": output["task_id"]})


each_clip = dg.define_asset_job("each_clip", [video], executor_def=dg.in_process_executor)


@dg.sensor(job=each_clip, default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=5)
def clips() -> dg.SensorResult:
    """Asks for every clip once."""
    keys = CLIPS.get_partition_keys()
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key, partition_key=key) for key in keys])


defs = dg.Definitions(assets=[video], jobs=[each_clip], sensors=[clips])
