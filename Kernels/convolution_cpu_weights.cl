// Weight gradients of convolutions for CPUs, one work-item per group.
//
//   dw[r,s,c,k] = sum over n,p,q of x[n, p STR + r DIL - PAD, q STR + s DIL - PAD, c] dy[n,p,q,k]
//
// A work-item has one tap, up to `inputs` input channels and up to `outputs` output channels. It copies the pixels that
// the tap finds inside the image, `block` at a time, side by side: `xb` of x, `yb` of dy. Then CT input times KT = 16
// KV output channels at a time sum in registers over the block: CT broadcasts and CT KV fused multiply-adds per pixel.
// Sums wait in dw between blocks. Rows of the copies lie an odd number of cache lines apart, whatever the shape; they
// stay in the second-level cache, and KT channels of dy in the first.
// With WS taps of WC channels side by side (the stem), all taps of a pixel are copied as R WS WC input channels, zeros
// for what is outside the image.
//
// Layout: global (groups of c, groups of k, taps * splits); split j takes rows [j span, (j+1) span) of N*P, and has its
// own [R][S][C][KS] of dw.
// Local memory: block PITCH(inputs) + 16 and block PITCH(outputs) floats; both counts are multiples of 16.
// Tunables: CT at most 8, KV 1 or 2: CT KV vectors of 16 floats in registers beside their operands.

#ifndef CT
#define CT 8
#endif
#ifndef KV
#define KV 2
#endif
#ifndef WS
#define WS 0
#endif
#define KT (16 * KV)
#define PITCH(channels) (((channels) / 16 | 1) * 16)

static inline void copy_vectors(__global const float *from, __local float *to, int count) {
    for (int i = 0; i < count; i += 16) vstore16(vload16(0, from + i), 0, to + i);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void convolution_weights(__global const float *restrict x, __global const float *restrict dy,
                         __global float *restrict dw, __local float *restrict xb, __local float *restrict yb, int N,
                         int H, int Wd, int C, int XS, int P, int Q, int KS, int R, int S, int STR, int DIL, int PAD,
                         int span, int inputs, int outputs, int block) {
#if WS
    const int taps = 1, depth = R * WS * WC;
#else
    const int taps = R * S, depth = C;
#endif
    const int tap = (int)get_global_id(2) % taps, split = (int)get_global_id(2) / taps;
    const int c0 = (int)get_global_id(0) * inputs, k0 = (int)get_global_id(1) * outputs;
    const int channels = min(inputs, depth - c0), width = min(outputs, KS - k0);
    const int x_pitch = PITCH(inputs), y_pitch = PITCH(outputs);
    __global float *out = dw + (((size_t)split * taps + tap) * depth + c0) * KS + k0;
#if WS
    const int q0 = 0, q1 = Q;
#else
    const int down = tap / S * DIL - PAD, shift = tap % S * DIL - PAD;
    const int q0 = shift < 0 ? (-shift + STR - 1) / STR : 0;
    const int q1 = Wd - shift > 0 ? min(Q, (Wd - 1 - shift) / STR + 1) : 0;
#endif

    const int start = split * span, end = min(start + span, N * P);
    int index = start, q = q0, is_first = 1;
    do {
        int count = 0;
        while (index < end && count < block) {
            const int n = index / P, p = index % P;
#if WS
            const int some = min(block - count, q1 - q);
            for (int i = 0; i < some; ++i) {
                const int column = ((q + i) * STR - PAD) * WC;
                __local float *to = xb + (count + i) * x_pitch;
                for (int r = 0; r < R; ++r, to += WS * WC) {
                    const int h = p * STR + r * DIL - PAD;
                    const bool is_inside = h >= 0 && h < H;
                    __global const float *row = x + ((ptrdiff_t)n * H + h) * Wd * WC;
                    if (is_inside && column >= 0 && column + WS * WC <= Wd * WC) {
#if WS * WC >= 16
                        vstore16(vload16(0, row + column), 0, to);
                        vstore16(vload16(0, row + column + WS * WC - 16), 0, to + WS * WC - 16);
#else
                        for (int j = 0; j < WS * WC; ++j) to[j] = row[column + j];
#endif
                    } else {
                        for (int j = 0; j < WS * WC; ++j)
                            to[j] = is_inside && column + j >= 0 && column + j < Wd * WC ? row[column + j] : 0.0f;
                    }
                }
                for (int j = depth; j % CT != 0; ++j) *to++ = 0.0f;
            }
#else
            const int h = p * STR + down;
            if (h < 0 || h >= H || q >= q1) {
                ++index;
                q = q0;
                continue;
            }
            const int some = min(block - count, q1 - q);
            __global const float *from = x + (((size_t)n * H + h) * Wd + q * STR + shift) * XS + c0;
            for (int i = 0; i < some; ++i, from += STR * XS) {
                __local float *to = xb + (count + i) * x_pitch;
                if (XS % 16 == 0) {
                    copy_vectors(from, to, channels);
                } else {
                    for (int j = 0; j < channels || j % CT != 0; ++j) to[j] = j < channels ? from[j] : 0.0f;
                }
            }
#endif
            for (int i = 0; i < some; ++i)
                copy_vectors(dy + ((size_t)index * Q + q + i) * KS + k0, yb + (count + i) * y_pitch, width);
            count += some;
            q += some;
            if (q == q1) {
                ++index;
                q = q0;
            }
        }

#if HAS_PREFETCH && !WS
        // What the next block will copy, if it goes on in the same rows: some pixels before each tile of sums.
        const int tiles = ((width + KT - 1) / KT) * ((channels + CT - 1) / CT), step = (block + tiles - 1) / tiles;
        const ptrdiff_t next_row = (ptrdiff_t)(index / P) * H + index % P * STR + down;
        __global const float *next_x = x + (next_row * Wd + q * STR + shift) * XS + c0;
        __global const float *next_dy = dy + ((size_t)index * Q + q) * KS + k0;
        int ahead = index < end ? 0 : block;
#endif
        for (int k = 0; k < width; k += KT)
            for (int c = 0; c < channels; c += CT) {
#if HAS_PREFETCH && !WS
                for (const int until = min(ahead + step, block); ahead < until; ++ahead) {
                    PREFETCH(next_x + (ptrdiff_t)ahead * STR * XS, channels)
                    PREFETCH(next_dy + (ptrdiff_t)ahead * KS, width)
                }
#endif
                __global float *sums = out + (size_t)c * KS + k;
                float16 acc[CT][KV];
                UNROLLED
                for (int i = 0; i < CT; ++i)
                    UNROLLED
                    for (int j = 0; j < KV; ++j)
                        acc[i][j] = is_first || c + i >= channels ? 0.0f : vload16(j, sums + (size_t)i * KS);
                if (!is_first && c + CT < channels)
                    for (int i = CT; i < 2 * CT; ++i) { PREFETCH(sums + (size_t)i * KS, KT) }
                __local const float *xp = xb + c, *yp = yb + k;
                for (int pixel = 0; pixel < count; ++pixel, xp += x_pitch, yp += y_pitch) {
                    float16 gradient[KV];
                    UNROLLED
                    for (int j = 0; j < KV; ++j) gradient[j] = vload16(j, yp);
                    UNROLLED
                    for (int i = 0; i < CT; ++i) {
                        const float16 value = (float16)(xp[i]);
                        UNROLLED
                        for (int j = 0; j < KV; ++j) acc[i][j] = fma(value, gradient[j], acc[i][j]);
                    }
                }
                UNROLLED
                for (int i = 0; i < CT; ++i) {
                    if (c + i >= channels) continue;
                    UNROLLED
                    for (int j = 0; j < KV; ++j) vstore16(acc[i][j], j, sums + (size_t)i * KS);
                }
            }
        is_first = 0;
    } while (index < end);
}
