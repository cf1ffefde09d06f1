"""LitServe on $PORT with $WORKERS worker processes."""
import os
from typing import Annotated

import litserve
from fastapi import Body
from squeezenet import classify, load


class SqueezeNet(litserve.LitAPI):
    def setup(self, device):
        self.session = load()

    def decode_request(self, request: Annotated[bytes, Body()]):
        return request

    def predict(self, x):
        return classify(self.session, x)

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    server = litserve.LitServer(SqueezeNet(api_path="/v1/classify"), accelerator="cpu", healthcheck_path="/readyz",
                                workers_per_device=int(os.environ["WORKERS"]), fast_queue=bool(int(os.environ["FAST_QUEUE"])))
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), log_level="error", access_log=False,
               num_api_servers=int(os.environ["WORKERS"]), generate_client_file=False)
