// Conversion of an image file to a network's input, as `Preprocessing.decode` in Python: decoded,
// resized with `tf.image.resize(antialias=True)` and rounded. Canvases scale with other filters.

const STRIP = 256; // rows read at a time: photos are larger than some phones allow a canvas to be

/** Decodes the image in a file, with its stored colors, rotated by its EXIF orientation. */
export async function decode(file) {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  return createImageBitmap(file, { ...options, imageOrientation: "from-image" });
}

/**
 * Returns the network's input for a decoded image.
 * @param {ImageBitmap} bitmap
 * @param {object} preprocessing height, width, channels, and optionally shorter_side
 * @returns {Uint8ClampedArray} (height, width, channels), values 0 to 255
 */
export function networkInput(bitmap, preprocessing) {
  const { height, width, channels, shorter_side: side } = preprocessing;
  const shorter = Math.min(bitmap.height, bitmap.width);
  const scaled = (size) => Math.floor((size * side) / shorter);
  const [rows, columns] = side ? [scaled(bitmap.height), scaled(bitmap.width)] : [height, width];

  const across = spans(bitmap.width, columns);
  const narrow = new Float32Array(bitmap.height * columns * 3);
  for (const { top, data } of strips(bitmap)) {
    narrow.set(resizeRows(data, bitmap.width, across), top * columns * 3);
  }
  const resized = resizeColumns(narrow, columns * 3, spans(bitmap.height, rows));
  const cropped = centreCrop(resized, rows, columns, height, width);
  return channels === 1 ? grayOf(cropped) : cropped;
}

/** Returns for every output pixel its first input pixel, and the weights of its input pixels. */
export function spans(size, outputSize) {
  const scale = size / outputSize;
  const radius = Math.max(scale, 1);
  return Array.from({ length: outputSize }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.ceil(centre - radius - 0.5));
    const last = Math.min(size - 1, Math.floor(centre + radius - 0.5));
    const weights = [];
    for (let pixel = first; pixel <= last; pixel++) {
      weights.push(1 - Math.abs(pixel + 0.5 - centre) / radius);
    }
    const sum = weights.reduce((a, b) => a + b);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

function* strips(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(STRIP, bitmap.height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.globalCompositeOperation = "copy";
  for (let top = 0; top < bitmap.height; top += STRIP) {
    const rows = Math.min(STRIP, bitmap.height - top);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, bitmap.width, rows);
    yield { top, data };
  }
}

/** Returns luma (ITU-R 601-2, in the fixed point of Python's `to_gray`) of (height, width, 3). */
function grayOf(rgb) {
  const luma = (_, i) => (19595 * rgb[3 * i] + 38470 * rgb[3 * i + 1] + 7471 * rgb[3 * i + 2] + 32768) >> 16;
  return Uint8ClampedArray.from({ length: rgb.length / 3 }, luma);
}

function resizeRows(rgba, width, across) {
  const rows = rgba.length / (4 * width);
  const resized = new Float32Array(rows * across.length * 3);
  let to = 0;
  for (let row = 0; row < rows; row++) {
    for (const { first, weights } of across) {
      let [red, green, blue] = [0, 0, 0];
      let from = 4 * (row * width + first);
      for (let i = 0; i < weights.length; i++, from += 4) {
        red += weights[i] * rgba[from];
        green += weights[i] * rgba[from + 1];
        blue += weights[i] * rgba[from + 2];
      }
      resized[to++] = red;
      resized[to++] = green;
      resized[to++] = blue;
    }
  }
  return resized;
}

function resizeColumns(values, rowLength, down) {
  const resized = new Uint8ClampedArray(down.length * rowLength); // rounds halves to even
  const sums = new Float64Array(rowLength);
  down.forEach(({ first, weights }, row) => {
    sums.fill(0);
    weights.forEach((weight, i) => {
      const from = (first + i) * rowLength;
      for (let x = 0; x < rowLength; x++) sums[x] += weight * values[from + x];
    });
    resized.set(sums, row * rowLength);
  });
  return resized;
}

function centreCrop(image, rows, columns, height, width) {
  const [top, left] = [halfToEven(rows - height), halfToEven(columns - width)];
  const cropped = new Uint8ClampedArray(height * width * 3);
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * columns + left) * 3;
    cropped.set(image.subarray(from, from + width * 3), row * width * 3);
  }
  return cropped;
}

/** Halves an integer and rounds; ties go to the even number. */
function halfToEven(spare) {
  const half = Math.floor(spare / 2);
  return spare % 2 && half % 2 ? half + 1 : half;
}
