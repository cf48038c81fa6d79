// Convolution for CPUs: register tiles of pixels x channels, NHWC, no local memory, one work-item per group.
//
// convolution_gather computes, for every output pixel (p, q) and channel k,
//
//   y[n,p,q,k] = bias[k] + sum_{r,s,c} x[n, (p STR + r DIL - PAD)/DIV, (q STR + s DIL - PAD)/DIV, c] w[r,s,c,k]
//
// over the taps whose source is whole and inside the image. DIV = 1 is the forward pass; STR = 1, DIV = stride,
// PAD = DIL (R-1) - padding on flipped weights is the input gradient (parity sub-convolutions, no atomics).
//
// Work-item: PT pixels of one row, DIV apart (same parity), times KV vectors of 16 channels, all in registers.
//   acc[PT][KV] += x[pixel][c] * w[c][16 KV]       one broadcast and KV fused multiply-adds per pixel and c
// The last tile of a row is moved left to stay full and stores only pixels its neighbour does not. Where a tap finds
// some of a tile's pixels outside the image, the tile is walked in CHUNKS chunks of up to five: those without a pixel
// inside cost nothing, and in the others, pixels outside read `zeros`. Where pixels have no channel padding (WS taps of
// WC channels at stride WT, the stem), the taps of a kernel row and their channels lie side by side in memory and in
// the weights: one sum of WS WC terms instead of WS short ones, in the same order.
//
// Layout: global (channel tiles / group, rows * tiles per row, N), in that order, so that neighbours share pixels; with
// WEIGHTS_OUTER (rows * tiles per row, N, channel tiles), where all weights together do not stay in a cache. Weights
// [K/KT][R][S][C][KT], KT = 16 KV.
// Tunables: PT 1...30, at most the pixels of a row; KV 1 or 2; PT * KV <= 30 keeps accumulators in 32 registers; WS
// with WC and WT.

#ifndef PT
#define PT 14
#endif
#ifndef KV
#define KV 2
#endif
#ifndef WS
#define WS 0
#endif
#ifndef WEIGHTS_OUTER
#define WEIGHTS_OUTER 0
#endif
#define KT (16 * KV)
#define WINDOW (((PT - 1) * WT + WS) * WC)

#define LOAD_WEIGHTS(base)                 \
    float16 wv[KV];                        \
    UNROLLED                               \
    for (int j = 0; j < KV; ++j) wv[j] = vload16(j, base);

// All pixels of the tile, all of them inside the image.
#define ACCUMULATE(COUNT)                                                        \
    for (int c = 0; c < COUNT; ++c) {                                            \
        LOAD_WEIGHTS(wp)                                                         \
        wp += KT;                                                                \
        UNROLLED                                                                 \
        for (int i = 0; i < PT; ++i) {                                           \
            const float16 value = (float16)(xp[i * step + c]);                   \
            UNROLLED                                                             \
            for (int j = 0; j < KV; ++j) acc[i][j] = fma(value, wv[j], acc[i][j]); \
        }                                                                        \
    }

#define CHUNKS ((PT + 4) / 5)
#define CHUNK_FROM(B) (PT * (B) / CHUNKS)

// A chunk's pixels, of which the image has from ... to-1.
#define ACCUMULATE_CHUNK(B)                                                      \
    if (from < CHUNK_FROM((B) + 1) && to > CHUNK_FROM(B)) {                      \
        enum { FROM = CHUNK_FROM(B), COUNT = CHUNK_FROM((B) + 1) - FROM };       \
        __global const float *pixels[COUNT];                                     \
        UNROLLED                                                                 \
        for (int i = 0; i < COUNT; ++i)                                          \
            pixels[i] = FROM + i >= from && FROM + i < to                        \
                            ? row + (ptrdiff_t)(column + (FROM + i) * STR) * XS : zeros;         \
        for (int c = 0; c < C; ++c) {                                            \
            LOAD_WEIGHTS(wp + (size_t)c * KT)                                    \
            UNROLLED                                                             \
            for (int i = 0; i < COUNT; ++i) {                                    \
                const float16 value = (float16)(pixels[i][c]);                   \
                UNROLLED                                                         \
                for (int j = 0; j < KV; ++j) acc[FROM + i][j] = fma(value, wv[j], acc[FROM + i][j]); \
            }                                                                    \
        }                                                                        \
    }

// The tile's pixels that no other tile stores, channels k ... k+15 of each at y + o; LOOP says how the loops are
// compiled.
#define STORE_TILE(LOOP, VALUE)                                                  \
    LOOP                                                                         \
    for (int i = 0; i < PT; ++i) {                                               \
        if (i < first) continue;                                                 \
        LOOP                                                                     \
        for (int j = 0; j < KV; ++j) {                                           \
            const int k = kt * KT + 16 * j;                                      \
            const size_t o = at + (size_t)i * DIV * YS + k;                      \
            vstore16(VALUE, 0, y + o);                                           \
        }                                                                        \
    }

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void convolution_gather(__global const float *restrict x, __global const float *restrict w,
                        __global const float *restrict zeros, __global const float *bias,
                        __global const float *scale, __global const float *shift, __global const float *residual,
                        __global float *y, int H, int Wd, int C, int XS, int P, int Q, int YS, int R, int S, int STR,
                        int DIL, int PAD, int DIV, int flags, int group) {
#if WEIGHTS_OUTER
    const int begin_kt = (int)get_global_id(2) * group, n = (int)get_global_id(1), tile = (int)get_global_id(0);
#else
    const int begin_kt = (int)get_global_id(0) * group, n = (int)get_global_id(2), tile = (int)get_global_id(1);
#endif
    const int parity_tiles = ((Q + DIV - 1) / DIV + PT - 1) / PT;
    const int p = tile / (parity_tiles * DIV), t = tile % (parity_tiles * DIV);
    const int parity = t / parity_tiles, columns = (Q - parity + DIV - 1) / DIV;
    const int begin = (t % parity_tiles) * PT;
    if (begin >= columns) return;
    const int j0 = min(begin, columns - PT), first = begin - j0;
    const size_t at = (((size_t)n * P + p) * Q + parity + (size_t)j0 * DIV) * YS;

    for (int kt = begin_kt; kt < min(begin_kt + group, YS / KT); ++kt) {
        float16 acc[PT][KV];
        UNROLLED
        for (int j = 0; j < KV; ++j) {
            const float16 start = flags & HAS_BIAS ? vload16(0, bias + kt * KT + 16 * j) : (float16)(0.0f);
            UNROLLED
            for (int i = 0; i < PT; ++i) acc[i][j] = start;
        }

        for (int r = 0; r < R; ++r) {
            const int above = p * STR + r * DIL - PAD;
            if (above < 0 || above % DIV != 0 || above / DIV >= H) continue;
            __global const float *row = x + ((size_t)n * H + above / DIV) * Wd * XS;
#if WS
            // The tile's columns of the row, copied where some of them are outside.
            const int window = (j0 * WT - PAD) * WC, step = WT * WC;
            __global const float *wp = w + (size_t)(kt * R + r) * WS * WC * KT;
            if (window >= 0 && window + WINDOW <= Wd * WC) {
                __global const float *xp = row + window;
                ACCUMULATE(WS * WC)
            } else {
                float xp[WINDOW];
                const int before = clamp(-window, 0, WINDOW), behind = min(WINDOW, Wd * WC - window);
                for (int i = 0; i < before; ++i) xp[i] = 0.0f;
                for (int i = before; i < behind; ++i) xp[i] = row[window + i];
                for (int i = max(before, behind); i < WINDOW; ++i) xp[i] = 0.0f;
                ACCUMULATE(WS * WC)
            }
#else
            for (int s = 0; s < S; ++s) {
                const int left = parity * STR + s * DIL - PAD;
                if (left % DIV != 0) continue;
                const int column = left / DIV + j0 * STR;
                const int from = column < 0 ? (-column + STR - 1) / STR : 0;
                const int to = column < Wd ? min(PT, (Wd - column + STR - 1) / STR) : 0;
                if (from >= to) continue;
                __global const float *wp = w + (size_t)((kt * R + r) * S + s) * C * KT;
                if (from == 0 && to == PT) {
                    const int step = STR * XS;
                    __global const float *xp = row + (ptrdiff_t)column * XS;
                    ACCUMULATE(C)
                    continue;
                }
                ACCUMULATE_CHUNK(0)
#if CHUNKS > 1
                ACCUMULATE_CHUNK(1)
#endif
#if CHUNKS > 2
                ACCUMULATE_CHUNK(2)
#endif
#if CHUNKS > 3
                ACCUMULATE_CHUNK(3)
#endif
#if CHUNKS > 4
                ACCUMULATE_CHUNK(4)
#endif
#if CHUNKS > 5
                ACCUMULATE_CHUNK(5)
#endif
            }
#endif
        }

        if ((flags & ~HAS_BIAS) == 0) {
            STORE_TILE(UNROLLED, acc[i][j])
        } else {
            // PT x KV copies of the epilogue would take longer to compile than all else.
            float16 sums[PT][KV];
            UNROLLED
            for (int i = 0; i < PT; ++i)
                UNROLLED
                for (int j = 0; j < KV; ++j) sums[i][j] = acc[i][j];
            STORE_TILE(__attribute__((opencl_unroll_hint(1))),
                       epilogue(sums[i][j], scale + k, shift + k, residual + o, flags))
        }
    }
}
