// The page: loads the network, takes a picture, and shows the network's classes.

import { Environment, Tensor, loadAndCompile, loadLiteRt } from "@litertjs/core";
import { decode, networkInput } from "./preprocessing.js";

const SHOWN = 5; // number of classes
const PREVIEW = 640; // pixels of the longer side

const $ = (id) => document.getElementById(id);

// ---- the network

async function loadNetwork(onProgress) {
  const [preprocessing, labels, bytes] = await Promise.all([
    fetched("preprocessing.json").then((response) => response.json()),
    fetched("labels.txt").then((response) => response.text()),
    fetched("model.tflite").then((response) => download(response, onProgress)),
    startRuntime(),
  ]);
  const model = await loadAndCompile(bytes, { accelerator: "wasm" });
  const network = { model, preprocessing, labels: labels.replace(/\n$/, "").split("\n"), bytes };
  const { height, width, channels } = preprocessing;
  await logitsOf(network, new Uint8Array(height * width * channels)); // the first run is slower
  return network;
}

async function fetched(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return response;
}

async function download(response, onProgress) {
  const total = Number(response.headers.get("Content-Length")); // size of the response, which may be compressed
  const parts = [];
  let received = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.length;
    onProgress(total ? Math.min(received / total, 1) : undefined);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function startRuntime() {
  // LiteRT would request a GPU, which is not used: answers are those of the CPU, as in Python.
  const create = Environment.create;
  Environment.create = () => create({ webGpuDevice: null });
  // LiteRT logs everything to one stream, which a page shows as errors.
  const printErr = (line) => (/^(INFO|WARNING|VERBOSE)\b/.test(line) ? console.debug : console.error)(line);
  self.Module = { printErr };
  await loadLiteRt("litert/core/wasm/");
}

/** Computes the logits of an image of the network's size. */
async function logitsOf({ model, preprocessing }, image) {
  const { height, width, channels } = preprocessing;
  const images = new Tensor(Float32Array.from(image), [1, height, width, channels]);
  try {
    const { logits } = await model.run({ images });
    const values = Array.from(logits.toTypedArray());
    logits.delete();
    return values;
  } finally {
    images.delete(); // memory of WebAssembly is not garbage collected
  }
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((value) => value / sum);
}

/** Classifies a file; returns the best classes and the times it took in milliseconds. */
async function classify(network, file) {
  const start = performance.now();
  const bitmap = await decode(file);
  const input = networkInput(bitmap, network.preprocessing);
  const prepared = performance.now();
  const logits = await logitsOf(network, input);
  const times = { preparing: prepared - start, network: performance.now() - prepared };
  const probabilities = softmax(logits);
  const best = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const top = best.slice(0, SHOWN).map((i) => ({ label: network.labels[i], probability: probabilities[i] }));
  return { bitmap, input, top, times };
}

// ---- output

function show(network, name, { bitmap, input, top, times }) {
  $("answer").textContent = top[0].label;
  $("top").replaceChildren(...top.map(row));
  $("latency").textContent = `Network ${milliseconds(times.network)}, decoding and resizing ${milliseconds(times.preparing)}`;
  drawPicture($("picture"), bitmap);
  $("picture").setAttribute("aria-label", name);
  drawInput($("input"), input, network.preprocessing);
  $("result").hidden = false;
}

function row({ label, probability }) {
  const item = document.createElement("li");
  const [name, share, bar] = ["span", "span", "div"].map((tag) => document.createElement(tag));
  name.className = "label";
  name.textContent = label;
  share.className = "share";
  share.textContent = percent(probability);
  bar.className = "bar";
  bar.style.width = `${100 * probability}%`;
  item.append(name, share, bar);
  return item;
}

const percent = (probability) => `${(100 * probability).toFixed(1)} %`;
const milliseconds = (time) => `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`;

function drawPicture(canvas, bitmap) {
  const scale = Math.min(1, PREVIEW / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}

function drawInput(canvas, input, { height, width, channels }) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = input[i * channels + (c % channels)];
    image.data[4 * i + 3] = 255;
  }
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function showError(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
  if (message) $("result").hidden = true;
}

function describe({ labels, bytes, preprocessing }) {
  const { height, width, channels } = preprocessing;
  const size = `${width} × ${height} ${channels === 1 ? "grayscale" : "color"} pixels`;
  const kilobytes = bytes.length / 1e3;
  const weight = kilobytes < 1e3 ? `${Math.round(kilobytes)} kB` : `${(kilobytes / 1e3).toFixed(1)} MB`;
  $("network").textContent = `${labels.length} classes, ${size}, ${weight}`;
}

// ---- input

let turn = Promise.resolve(); // processes pictures one after another

function take(network, file) {
  if (!file) return;
  turn = turn.then(() => answer(network, file));
}

async function answer(network, file) {
  $("status").textContent = "Classifying …";
  document.body.setAttribute("aria-busy", "true");
  try {
    const result = await classify(network, file);
    showError("");
    show(network, file.name, result);
    result.bitmap.close();
    $("status").textContent = `Done: ${result.top[0].label}, ${percent(result.top[0].probability)}.`;
  } catch (error) {
    console.info(error);
    showError(`“${file.name}” cannot be read as an image. It may be damaged, or in a format that this browser does not support.`);
    $("status").textContent = "Ready.";
  }
  document.body.removeAttribute("aria-busy");
}

function listen(network) {
  for (const input of [$("photo"), $("file")]) {
    input.disabled = false;
    input.addEventListener("change", () => {
      take(network, input.files[0]);
      input.value = ""; // the same file may be chosen again
    });
  }
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    take(network, event.dataTransfer.files[0]);
  });
}

async function keepForOffline() {
  if (!navigator.serviceWorker) {
    $("offline").textContent = "Not available offline: this needs https (or localhost).";
    return;
  }
  const registration = await navigator.serviceWorker.register("service_worker.js", { updateViaCache: "none" });
  const offer = () => {
    $("update").hidden = !(registration.waiting && registration.active);
  };
  registration.addEventListener("updatefound", () => registration.installing.addEventListener("statechange", offer));
  offer();
  $("use").addEventListener("click", () => registration.waiting?.postMessage("use"));
  const { controller } = navigator.serviceWorker;
  navigator.serviceWorker.addEventListener("controllerchange", () => controller && location.reload());
  await navigator.serviceWorker.ready;
  $("offline").textContent = "This page works offline.";
}

async function start() {
  try {
    const network = await loadNetwork((share) => {
      if (share === undefined) $("loading").removeAttribute("value");
      else $("loading").value = share;
    });
    describe(network);
    listen(network);
    $("status").textContent = "Ready.";
  } catch (error) {
    console.error(error);
    $("status").textContent = "";
    showError(`The network cannot be loaded: ${error.message}`);
  }
  $("loading").hidden = true;
  keepForOffline().catch((error) => {
    console.info(error);
    $("offline").textContent = "Not available offline.";
  });
}

start();
