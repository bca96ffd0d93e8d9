// Caches all files of this version of the page, so that it works offline.

importScripts("files.js"); // VERSION, FILES

const SCOPE = registration.scope;
const CACHE = `${SCOPE} ${VERSION}`;

// A module with one relaxed SIMD instruction: LiteRT has a build for browsers that support it, and
// one for the others. Only one of them is cached.
const RELAXED_SIMD = WebAssembly.validate(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11));
const isOther = (file) => file.includes("/wasm/") && file.includes("_compat_") === RELAXED_SIMD;
const KEPT = ["./", ...FILES.filter((file) => file !== "index.html" && !isOther(file))];

addEventListener("install", (event) => {
  // Loaded from the server, since the browser's cache may have another version.
  const requests = KEPT.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

addEventListener("message", (event) => event.data === "use" && skipWaiting());

addEventListener("activate", (event) => event.waitUntil(forgetOthers()));

async function forgetOthers() {
  // Other pages of this host have caches too.
  const old = (await caches.keys()).filter((name) => name.startsWith(`${SCOPE} `) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const cache = await caches.open(CACHE);
  const { origin, pathname } = new URL(request.url);
  const kept = await cache.match(origin + pathname.replace(/\/index\.html$/, "/"));
  return kept ?? fetch(request);
}
