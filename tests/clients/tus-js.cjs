// Uploads a file with tus-js-client, interrupted once in the middle and resumed by a second
// client from what the first one stored: node tus-js.cjs ENDPOINT TOKEN FILE
const fs = require("node:fs");
const tus = require("tus-js-client");

const [endpoint, token, file] = process.argv.slice(2);
const size = fs.statSync(file).size;
const common = {
  endpoint,
  headers: { Authorization: `Bearer ${token}` },
  chunkSize: 64 * 1024,
  metadata: { filename: "clip.mp4", title: "Desde tus-js-client" },
  retryDelays: [0, 100],
};

let video = null;
function remember(request, response) {
  video = response.getHeader("Cocuyo-Video-Id") ?? video;
}

function half() {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(fs.createReadStream(file), {
      ...common,
      uploadSize: size,
      onAfterResponse: remember,
      onError: reject,
      onChunkComplete: (_, accepted) => {
        if (accepted * 2 >= size) upload.abort(false).then(() => resolve(upload.url), reject);
      },
    });
    upload.start();
  });
}

function rest(uploadUrl) {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(fs.createReadStream(file), {
      ...common,
      uploadUrl,
      uploadSize: size,
      onError: reject,
      onSuccess: resolve,
    });
    upload.start();
  });
}

half()
  .then(rest)
  .then(() => console.log(JSON.stringify({ video })))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
