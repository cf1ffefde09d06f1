// Fastify, sharp and onnxruntime-node on $PORT with $WORKERS processes. SqueezeNet 1.1, $MODEL, with $ORT_THREADS threads.
import cluster from "node:cluster";
import Fastify from "fastify";
import * as ort from "onnxruntime-node";
import sharp from "sharp";

const {MODEL, ORT_THREADS, PORT, WORKERS} = process.env;
const SHORTER_SIDE = 256, CROP = 224, MEAN_BGR = [104, 117, 123];

// (1, 3, 224, 224), BGR. Colour profiles are not applied, as the other servers do not.
async function tensor(jpeg) {
  const picture = sharp(jpeg, {ignoreIcc: true});
  const shown = await picture.metadata();
  const scaled = (side) => Math.floor(side * SHORTER_SIDE / Math.min(shown.width, shown.height));
  const width = scaled(shown.width), height = scaled(shown.height);
  const data = await picture
    .resize(width, height, {fit: "fill", kernel: "linear"})
    .extract({left: Math.round((width - CROP) / 2), top: Math.round((height - CROP) / 2), width: CROP, height: CROP})
    .removeAlpha().raw().toBuffer();
  const plane = CROP * CROP, values = new Float32Array(3 * plane);
  for (let to = 0, from = 0; to < plane; to++, from += 3) {
    values[to] = data[from + 2] - MEAN_BGR[0];
    values[to + plane] = data[from + 1] - MEAN_BGR[1];
    values[to + 2 * plane] = data[from] - MEAN_BGR[2];
  }
  return new ort.Tensor("float32", values, [1, 3, CROP, CROP]);
}

async function serve() {
  sharp.cache(false);
  sharp.concurrency(1);
  const session = await ort.InferenceSession.create(MODEL, {
    executionProviders: ["cpu"], intraOpNumThreads: Number(ORT_THREADS), interOpNumThreads: 1,
  });
  const app = Fastify({bodyLimit: 20 << 20});
  app.addContentTypeParser("image/jpeg", {parseAs: "buffer"}, async (request, body) => body);
  app.get("/readyz", async () => ({}));
  app.post("/v1/classify", async (request) => {
    const scores = (await session.run({data_0: await tensor(request.body)})).softmaxout_1.data;
    let best = 0;
    for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i;
    return {class_index: best, probability: scores[best]};
  });
  await app.listen({host: "127.0.0.1", port: Number(PORT)});
}

if (cluster.isPrimary && Number(WORKERS) > 1) {
  for (let i = 0; i < Number(WORKERS); i++) cluster.fork();
} else {
  await serve();
}
