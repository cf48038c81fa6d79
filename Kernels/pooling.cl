// Max pooling and global average pooling, NHWC.
//
//   maxpool_forward   y[n,p,q] = max over the window; tap[n,p,q] = r*window+s of the first maximum in row-major order
//   maxpool_backward  dx[n,h,w] = sum of dy over the windows whose tap points at (h, w): a gather, no atomics
//   average_forward   y[n] = mean over H*W of x
//   average_backward  dx[n,h,w] = dy[n] / (H*W)
//
// Layout: global (channel vector * columns, rows, n); max pooling on CPUs (1, rows, n), a row per work-item. Taps are
// stored as ints bit-cast into a float tensor.

__kernel void maxpool_forward(__global const activation *x, __global activation *y, __global float *tap, int H, int Wd,
                              int C, int P, int Q, int window, int stride, int padding) {
    const int vectors = C / W, p = (int)get_global_id(1), n = (int)get_global_id(2);
    FOR_CHANNELS(i, v, Q * vectors, vectors) {
        const int q = i / vectors;
        floatW best = -INFINITY;
        intW index = 0;
        for (int r = 0; r < window; ++r) {
            const int h = p * stride - padding + r;
            if (h < 0 || h >= H) continue;
            for (int s = 0; s < window; ++s) {
                const int w = q * stride - padding + s;
                if (w < 0 || w >= Wd) continue;
                const floatW value = ALOAD(((size_t)n * H + h) * Wd * vectors + (size_t)w * vectors + v, x);
                // A NaN replaces the best so that a broken activation is not hidden by its neighbours.
                const intW better = (value > best) | (value != value);
                best = select(best, value, better);
                index = select(index, (intW)(r * window + s), better);
            }
        }
        const size_t o = ((size_t)n * P + p) * Q * vectors + i;
        ASTORE(best, o, y);
        VSTORE(AS_FLOATW(index), o, tap);
    }
}

__kernel void maxpool_backward(__global const activation *dy, __global const float *tap, __global activation *dx,
                               int H, int Wd, int C, int P, int Q, int window, int stride, int padding) {
    const int vectors = C / W, groups = vectors / VG, h = (int)get_global_id(1), n = (int)get_global_id(2);
    // Of a row's or column's taps, every `stride`th one is a window's.
    const int first_row = (h + padding) % stride;
    FOR_CHANNELS(i, group, Wd * groups, groups) {
        const int w = i / groups;
        floatW sum[VG];
        EACH(k) sum[k] = 0.0f;
        for (int r = first_row; r < window && r <= h + padding; r += stride) {
            const int p = (h + padding - r) / stride;
            if (p >= P) continue;
            for (int s = (w + padding) % stride; s < window && s <= w + padding; s += stride) {
                const int q = (w + padding - s) / stride;
                if (q >= Q) continue;
                const size_t o = (((size_t)n * P + p) * Q + q) * vectors + group * VG;
                EACH(k) sum[k] += select((floatW)(0.0f), ALOAD(o + k, dy),
                                         AS_INTW(VLOAD(o + k, tap)) == (intW)(r * window + s));
            }
        }
        EACH(k) ASTORE(sum[k], (((size_t)n * H + h) * Wd + w) * vectors + group * VG + k, dx);
    }
}

__kernel void average_forward(__global const activation *x, __global activation *y, int pixels, int C) {
    const int vectors = C / W, v = (int)get_global_id(0), n = (int)get_global_id(1);
    floatW sum = 0.0f;
    for (int i = 0; i < pixels; ++i) sum += ALOAD(((size_t)n * pixels + i) * vectors + v, x);
    ASTORE(sum / (float)pixels, (size_t)n * vectors + v, y);
}

__kernel void average_backward(__global const activation *dy, __global activation *dx, int pixels, int C) {
    const int vectors = C / W, v = (int)get_global_id(0), i = (int)get_global_id(1), n = (int)get_global_id(2);
    ASTORE(ALOAD((size_t)n * vectors + v, dy) / (float)pixels, ((size_t)n * pixels + i) * vectors + v, dx);
}
