// Runs a program of record.py: tensors are {s: shape, d: numbers}, always whole and in order.
const dgmTensor = (() => {
  const size = shape => shape.reduce((n, k) => n * k, 1);
  const tensor = (s, d) => ({s, d: d || new Float64Array(size(s))});
  const strides = shape => shape.map((_, i) => size(shape.slice(i + 1)));
  const at = (dim, a) => dim < 0 ? dim + a.s.length : dim;
  // the tensor that reads a's numbers with these strides, from an offset
  const strided = (a, s, steps, offset = 0) => {
    const out = tensor(s), n = s.length, count = new Array(n).fill(0);
    for (let k = 0, from = offset; k < out.d.length; k++) {
      out.d[k] = a.d[from];
      for (let i = n - 1; i >= 0; i--) {
        from += steps[i];
        if (++count[i] < s[i]) break;
        from -= steps[i] * s[i];
        count[i] = 0;
      }
    }
    return out;
  };
  const same = (a, b) => a.length === b.length && a.every((k, i) => k === b[i]);
  const expand = (a, s) => {
    const more = s.length - a.s.length, steps = strides(a.s);
    const shape = s.map((k, i) => k === -1 ? a.s[i - more] : k);
    if (same(shape, a.s)) return a;
    return strided(a, shape, shape.map((_, i) => i < more || a.s[i - more] === 1 ? 0 : steps[i - more]));
  };
  const map = f => a => tensor(a.s, a.d.map(v => f(v)));
  const pair = f => (a, b) => {
    if (typeof b === "number") return map(v => f(v, b))(a);
    const n = Math.max(a.s.length, b.s.length), out = [];
    for (let i = 1; i <= n; i++) out.unshift(Math.max(a.s[a.s.length - i] ?? 1, b.s[b.s.length - i] ?? 1));
    const x = expand(a, out).d, y = expand(b, out).d, made = tensor(out);
    for (let k = 0; k < x.length; k++) made.d[k] = f(x[k], y[k]);
    return made;
  };
  const scaled = f => (a, b, alpha = 1) => pair((x, y) => f(x, alpha * y))(a, b);
  // [outer, n, inner] around a dimension
  const around = (a, dim) => [size(a.s.slice(0, dim)), a.s[dim], size(a.s.slice(dim + 1))];
  // f(numbers, start, n, step, out) along a dimension
  const along = (a, dim, f) => {
    const [outer, n, inner] = around(a, dim = at(dim, a)), out = tensor(a.s);
    for (let o = 0; o < outer; o++) for (let i = 0; i < inner; i++) f(a.d, o * n * inner + i, n, inner, out.d);
    return out;
  };
  const total = (d, start, n, step, f) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += f(d[start + k * step]);
    return sum;
  };
  const logSum = (d, start, n, step) => {
    let top = -Infinity;
    for (let k = 0; k < n; k++) top = Math.max(top, d[start + k * step]);
    return top === -Infinity ? top : top + Math.log(total(d, start, n, step, v => Math.exp(v - top)));
  };
  const reduced = f => (a, dims, keep) => {
    for (const dim of (dims && dims.length ? dims : a.s.map((_, i) => i)).map(d => at(d, a)).sort((x, y) => y - x)) {
      const [outer, n, inner] = around(a, dim), s = a.s.slice(), out = new Float64Array(outer * inner);
      for (let o = 0; o < outer; o++) for (let i = 0; i < inner; i++) out[o * inner + i] = f(a.d, o * n * inner + i, n, inner);
      if (keep) s[dim] = 1; else s.splice(dim, 1);
      a = tensor(s, out);
    }
    return a;
  };
  const view = (a, s) => tensor(s.map(k => k === -1 ? a.d.length / -size(s) : k), a.d);
  const permute = (a, dims) => strided(a, dims.map(i => a.s[at(i, a)]), dims.map(i => strides(a.s)[at(i, a)]));
  const swapped = (a, i, j) => {
    const dims = a.s.map((_, k) => k);
    [dims[at(i, a)], dims[at(j, a)]] = [dims[at(j, a)], dims[at(i, a)]];
    return permute(a, dims);
  };
  const slice = (a, dim, start, end, step = 1) => {
    const n = a.s[dim = at(dim, a)], inside = k => Math.min(n, Math.max(0, k < 0 ? k + n : k));
    const first = inside(start ?? 0), s = a.s.slice(), steps = strides(a.s);
    s[dim] = Math.max(0, Math.ceil((inside(end ?? n) - first) / step));
    return strided(a, s, steps.map((k, i) => i === dim ? k * step : k), first * steps[dim]);
  };
  const cat = (parts, dim = 0) => {
    dim = at(dim, parts[0]);
    const s = parts[0].s.slice();
    s[dim] = parts.reduce((n, p) => n + p.s[dim], 0);
    const out = tensor(s), outer = size(s.slice(0, dim));
    let place = 0;
    for (let o = 0; o < outer; o++) for (const p of parts) {
      const n = p.d.length / outer;
      out.d.set(p.d.subarray(o * n, o * n + n), place);
      place += n;
    }
    return out;
  };
  const unsqueeze = (a, dim) => {
    const s = a.s.slice();
    s.splice(dim < 0 ? dim + s.length + 1 : dim, 0, 1);
    return tensor(s, a.d);
  };
  const pad = (a, sides, value = 0) => {
    const s = a.s.slice(), low = s.map(() => 0);
    for (let k = 0; k < sides.length / 2; k++) {
      low[s.length - 1 - k] = sides[2 * k];
      s[s.length - 1 - k] += sides[2 * k] + sides[2 * k + 1];
    }
    const steps = strides(a.s), out = tensor(s), count = s.map(() => 0);
    for (let k = 0; k < out.d.length; k++) {
      let from = 0, inside = true;
      for (let i = 0; i < s.length; i++) {
        const c = count[i] - low[i];
        inside = inside && c >= 0 && c < a.s[i];
        from += c * steps[i];
      }
      out.d[k] = inside ? a.d[from] : value;
      for (let i = s.length - 1; i >= 0 && ++count[i] === s[i]; i--) count[i] = 0;
    }
    return out;
  };
  const bmm = (a, b) => {
    const [n, rows, inner] = a.s, columns = b.s[2], out = tensor([n, rows, columns]);
    for (let m = 0; m < n; m++) for (let i = 0; i < rows; i++) for (let k = 0; k < inner; k++) {
      const v = a.d[(m * rows + i) * inner + k], from = (m * inner + k) * columns, to = (m * rows + i) * columns;
      if (v) for (let j = 0; j < columns; j++) out.d[to + j] += v * b.d[from + j];
    }
    return out;
  };
  const mm = (a, b) => {
    const out = bmm(unsqueeze(a, 0), unsqueeze(b, 0));
    return tensor(out.s.slice(1), out.d);
  };
  const convolution = (x, w, bias, step, border, dilation) => {
    const [py, px] = border, [sy, sx] = step, [dy, dx] = dilation, a = pad(x, [px, px, py, py]);
    const [n, channels, height, width] = a.s, [outs, , ky, kx] = w.s;
    const h = Math.floor((height - dy * (ky - 1) - 1) / sy) + 1, v = Math.floor((width - dx * (kx - 1) - 1) / sx) + 1;
    const out = tensor([n, outs, h, v]);
    for (let b = 0; b < n; b++) for (let o = 0; o < outs; o++) {
      const to = (b * outs + o) * h * v;
      if (bias) out.d.fill(bias.d[o], to, to + h * v);
      for (let c = 0; c < channels; c++) for (let q = 0; q < ky * kx; q++) {
        const weight = w.d[(o * channels + c) * ky * kx + q];
        const from = ((b * channels + c) * height + dy * Math.floor(q / kx)) * width + dx * (q % kx);
        if (weight) for (let i = 0; i < h; i++) for (let j = 0; j < v; j++) {
          out.d[to + i * v + j] += weight * a.d[from + i * sy * width + j * sx];
        }
      }
    }
    return out;
  };
  // where the numbers of a dimension are taken from or put, for gather and scatter
  const places = (a, dim, index, f) => {
    const steps = strides(a.s), inner = strides(index.s);
    dim = at(dim, a);
    for (let k = 0; k < index.d.length; k++) {
      let rest = k, from = 0;
      for (let i = 0; i < index.s.length; i++) {
        const c = Math.floor(rest / inner[i]);
        rest -= c * inner[i];
        from += (i === dim ? index.d[k] : c) * steps[i];
      }
      f(k, from);
    }
  };
  const gather = (a, dim, index) => {
    const out = tensor(index.s);
    places(a, dim, index, (k, from) => { out.d[k] = a.d[from]; });
    return out;
  };
  const scatter = (a, dim, index, value) => {
    const out = tensor(a.s, a.d.slice());
    places(a, dim, index, (k, to) => { out.d[to] = typeof value === "number" ? value : value.d[k]; });
    return out;
  };
  const index = (a, all) => {
    const dim = all.findIndex(i => i), [outer, n, inner] = around(a, dim), rows = all[dim];
    const out = tensor([...a.s.slice(0, dim), ...rows.s, ...a.s.slice(dim + 1)]);
    for (let o = 0; o < outer; o++) rows.d.forEach((r, k) => {
      const from = (o * n + (r < 0 ? r + n : r)) * inner;
      out.d.set(a.d.subarray(from, from + inner), (o * rows.d.length + k) * inner);
    });
    return out;
  };
  const sigmoid = v => 1 / (1 + Math.exp(-v)), keep = a => a;
  const operations = {
    add: scaled((x, y) => x + y), sub: scaled((x, y) => x - y), rsub: scaled((x, y) => y - x),
    mul: pair((x, y) => x * y), div: pair((x, y) => x / y), pow: pair(Math.pow),
    ge: pair((x, y) => +(x >= y)), gt: pair((x, y) => +(x > y)), lt: pair((x, y) => +(x < y)),
    abs: map(Math.abs), exp: map(Math.exp), log: map(Math.log), sqrt: map(Math.sqrt), neg: map(v => -v),
    tanh: map(Math.tanh), sigmoid: map(sigmoid), silu: map(v => v * sigmoid(v)), relu: map(v => Math.max(0, v)),
    clamp: (a, low, high) => map(v => Math.min(high ?? Infinity, Math.max(low ?? -Infinity, v)))(a),
    _to_copy: (a, type) => /int/.test(type) ? map(Math.trunc)(a) : a, zeros_like: map(() => 0),
    alias: keep, detach: keep, clone: keep, view, _unsafe_view: view, unsqueeze, expand, permute, slice, cat,
    squeeze: (a, dim) => tensor(a.s.filter((k, i) => i !== at(dim, a) || k !== 1), a.d),
    t: a => swapped(a, 0, 1), transpose: swapped, constant_pad_nd: pad,
    select: (a, dim, k) => {
      const part = slice(a, dim, k < 0 ? k + a.s[at(dim, a)] : k, (k < 0 ? k + a.s[at(dim, a)] : k) + 1);
      return tensor(a.s.filter((_, i) => i !== at(dim, a)), part.d);
    },
    split: (a, n, dim = 0) => Array.from({length: Math.ceil(a.s[at(dim, a)] / n)}, (_, k) => slice(a, dim, k * n, k * n + n)),
    stack: (parts, dim = 0) => cat(parts.map(p => unsqueeze(p, dim)), dim < 0 ? dim + parts[0].s.length + 1 : dim),
    repeat: (a, times) => {
      while (a.s.length < times.length) a = unsqueeze(a, 0);
      times.forEach((n, dim) => { a = cat(Array(n).fill(a), dim); });
      return a;
    },
    pixel_shuffle: (a, r) => {
      const [n, c, h, w] = a.s, parts = view(a, [n, c / r / r, r, r, h, w]);
      return view(permute(parts, [0, 1, 4, 2, 5, 3]), [n, c / r / r, h * r, w * r]);
    },
    sum: reduced((d, start, n, step) => total(d, start, n, step, v => v)), logsumexp: reduced(logSum),
    cumsum: (a, dim) => along(a, dim, (d, start, n, step, out) => {
      for (let k = 0, sum = 0; k < n; k++) out[start + k * step] = sum += d[start + k * step];
    }),
    _log_softmax: (a, dim) => along(a, dim, (d, start, n, step, out) => {
      const all = logSum(d, start, n, step);
      for (let k = 0; k < n; k++) out[start + k * step] = d[start + k * step] - all;
    }),
    mm, bmm, addmm: (bias, a, b) => operations.add(mm(a, b), bias), convolution, gather, scatter, index,
  };
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const floats = text => new Float32Array(bytes(text).buffer);
  const unpack = ([shape, bits, steps, codes]) => {
    if (bits === 32) return tensor(shape, Float64Array.from(floats(steps)));
    const out = tensor(shape), step = floats(steps), stream = bytes(codes), middle = 2 ** (bits - 1);
    for (let k = 0, place = 0; k < out.d.length; k++) {
      let code = 0;
      for (let b = 0; b < bits; b++, place++) code = 2 * code + (stream[place >> 3] >> (7 - place % 8) & 1);
      out.d[k] = (code - middle) * step[k >> 6];
    }
    return out;
  };
  // f(x) -> numbers; what does not depend on x is computed once, at the first call
  const program = ({steps, constants, out}) => {
    let fixed = null;
    const later = new Set([0]);
    const flat = v => Array.isArray(v) ? v.flatMap(flat) : [v];
    const run = (some, values) => {
      const fetch = v => Array.isArray(v) ? v.map(fetch) : v && typeof v === "object" ? values[v.r] : v ?? undefined;
      const keepIn = (ref, value) => Array.isArray(ref) ? ref.forEach((r, k) => keepIn(r, value[k])) : values[ref.r] = value;
      for (const [name, given, results] of some) keepIn(results, operations[name](...given.map(fetch)));
      return values;
    };
    for (const [, given, results] of steps) {
      if (flat(given).some(v => v && typeof v === "object" && later.has(v.r))) flat(results).forEach(r => later.add(r.r));
    }
    const waits = steps.filter(step => flat(step[2]).some(r => later.has(r.r)));
    return x => {
      fixed = fixed || run(steps.filter(step => !waits.includes(step)),
        Object.fromEntries(Object.entries(constants).map(([k, packed]) => [k, unpack(packed)])));
      return run(waits, {...fixed, 0: x})[out].d;
    };
  };
  return {tensor, program, operations};
})();
