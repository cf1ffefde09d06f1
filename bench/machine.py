"""What a record of a measurement says about the machine."""
import os
import platform
import subprocess


def machine():
    described = dict(line.split(":", 1) for line in subprocess.run(
        ["lscpu"], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout.splitlines() if ":" in line)
    flags = described.get("Flags", "").split()
    return {"cpu": described.get("Model name", platform.machine()).strip(), "cpus": len(os.sched_getaffinity(0)),
            "flags": [f for f in flags if f.startswith(("avx", "amx", "fma"))], "system": f"{platform.system()} {platform.machine()}"}
