// sha256(challenge + ":" + nonce) with `bits` leading zero bits. A synchronous SHA-256: crypto.subtle is asynchronous,
// ten times slower for inputs this short, and absent on plain http.
const K = new Uint32Array(64);
const H0 = new Uint32Array(8);
(() => {
  // The constants are the fractional parts of roots of the first primes (FIPS 180-4, 4.2.2 and 5.3.3).
  const isPrime = (n) => {
    for (let d = 2; d * d <= n; d += 1) if (n % d === 0) return false;
    return true;
  };
  let found = 0;
  for (let n = 2; found < 64; n += 1) {
    if (!isPrime(n)) continue;
    if (found < 8) H0[found] = ((n ** 0.5 % 1) * 2 ** 32) >>> 0;
    K[found] = ((n ** (1 / 3) % 1) * 2 ** 32) >>> 0;
    found += 1;
  }
})();
const W = new Uint32Array(64);

function block(state, bytes, offset) {
  for (let i = 0; i < 16; i += 1) {
    const at = offset + i * 4;
    W[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  }
  for (let i = 16; i < 64; i += 1) {
    const x = W[i - 15];
    const y = W[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const one = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

const encoder = new TextEncoder();

/** The eight words of SHA-256 of `text`. */
function sha256(text) {
  const bytes = encoder.encode(text);
  const padded = new Uint8Array(((bytes.length + 8) >> 6) * 64 + 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setUint32(padded.length - 4, bytes.length * 8);
  const state = new Uint32Array(H0);
  for (let offset = 0; offset < padded.length; offset += 64) block(state, padded, offset);
  return state;
}

function zeroBits(state) {
  let bits = 0;
  for (const word of state) {
    const lead = Math.clz32(word);
    bits += lead;
    if (lead < 32) break;
  }
  return bits;
}

onmessage = ({ data: { challenge, bits } }) => {
  const expected = 2 ** bits;
  for (let nonce = 0; ; nonce += 1) {
    if (zeroBits(sha256(`${challenge}:${nonce}`)) >= bits) {
      postMessage({ nonce: String(nonce) });
      return;
    }
    // The share of the searches of this size that would have ended by now.
    if (nonce % 8192 === 8191) postMessage({ progress: Math.floor((1 - Math.exp(-nonce / expected)) * 100) });
  }
};
