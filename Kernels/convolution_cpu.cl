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
// A tap that falls outside for the whole tile is skipped. Which pixels of a tile a tap finds inside the image follows from
// the shape, so each such range FROM ... TO-1 is compiled as a loop of its own (VARIANTS of them, F1, T1, F2, ...): taps
// into the padding and pixels beyond the row cost nothing, which is a tenth of the work at dilation 4 on 29 pixels.
// Where pixels have no channel padding (WS taps of WC channels, the stem), the taps of a kernel row and their channels lie
// side by side in memory and in the weights: one sum of WS WC terms instead of WS short ones, in the same order.
// With a stride there are no such ranges: missing pixels read `zeros`, and the last tile of a row is moved left to stay
// full and stores only pixels its neighbour does not.
//
// Layout: global (channel tiles, rows * tiles per row, N), in that order, so that neighbours share pixels; with WEIGHTS_OUTER
// (rows * tiles per row, N, channel tiles), where all weights together do not stay in a cache. Weights [K/KT][R][S][C][KT], KT = 16 KV.
// Tunables: PT 1...28, KV 1 or 2; PT * KV <= 28 keeps accumulators in 32 registers.
//
// convolution_weights computes dw[r,s,c,k] = sum over n,p,q of x[n, p STR + r DIL - PAD, ...][c] dy[n,p,q][k]:
// CT input channels x KV vectors of output channels in registers, over the rectangle of valid pixels of the tap.
// Channel c of pixel i of x lies at i XS + c XP: XP = 1 in tensors; in panels of CT channels (convolution_panels) XS = CT and
// XP = pixels. So with YS, YP and panels of KT channels for dy.
// A work-item takes `group` tiles of c and, `rows` rows of pixels at a time, goes through all of them: what it reads of dy stays
// in the first-level cache. Sums wait in dw meanwhile.
// Layout: global (groups of c, channel tiles of k, R*S*splits); split j takes rows [j span, (j+1) span) of N*P.
// With WS taps of WC channels side by side, the host passes C = WS WC, S = 1, CT = C: a kernel row in registers.

#ifndef PT
#define PT 14
#endif
#ifndef KV
#define KV 2
#endif
#ifndef CT
#define CT 8
#endif
#ifndef VARIANTS
#define VARIANTS 0
#endif
#ifndef WS
#define WS 0
#endif
#ifndef WEIGHTS_OUTER
#define WEIGHTS_OUTER 0
#endif
#define KT (16 * KV)

#define LOAD_WEIGHTS(base)                 \
    float16 wv[KV];                        \
    __attribute__((opencl_unroll_hint))    \
    for (int j = 0; j < KV; ++j) wv[j] = vload16(j, base);

// Pixels FROM ... TO-1 of the tile, all of them inside the image.
#define ACCUMULATE(FROM, TO, COUNT)                                              \
    for (int c = 0; c < COUNT; ++c) {                                            \
        LOAD_WEIGHTS(wp)                                                         \
        wp += KT;                                                                \
        __attribute__((opencl_unroll_hint))                                      \
        for (int i = FROM; i < TO; ++i) {                                        \
            const float16 value = (float16)(xp0[i * step + c]);                  \
            __attribute__((opencl_unroll_hint))                                  \
            for (int j = 0; j < KV; ++j) acc[i][j] = fma(value, wv[j], acc[i][j]); \
        }                                                                        \
    }

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void convolution_gather(__global const float *restrict x, __global const float *restrict w,
                        __global const float *restrict zeros, __global const float *bias,
                        __global const float *scale, __global const float *shift, __global const float *residual,
                        __global float *y, int H, int Wd, int C, int XS, int P, int Q, int YS, int R, int S, int STR,
                        int DIL, int PAD, int DIV, int flags) {
#if WEIGHTS_OUTER
    const int kt = (int)get_global_id(2), n = (int)get_global_id(1), tile = (int)get_global_id(0);
#else
    const int kt = (int)get_global_id(0), n = (int)get_global_id(2), tile = (int)get_global_id(1);
#endif
    const int parity_tiles = ((Q + DIV - 1) / DIV + PT - 1) / PT;
    const int p = tile / (parity_tiles * DIV), t = tile % (parity_tiles * DIV);
    const int parity = t / parity_tiles, columns = (Q - parity + DIV - 1) / DIV;
    int j0 = (t % parity_tiles) * PT, first = 0, count = min(PT, columns - j0);
    if (count <= 0) return;
#if VARIANTS == 0
    if (count < PT && columns >= PT) {
        first = PT - count;
        j0 = columns - PT;
        count = PT;
    }
#endif

    float16 acc[PT][KV];
    __attribute__((opencl_unroll_hint))
    for (int j = 0; j < KV; ++j) {
        float16 start = 0.0f;
        if ((flags & HAS_BIAS) && kt * KT + 16 * j < YS) start = vload16(0, bias + kt * KT + 16 * j);
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < PT; ++i) acc[i][j] = start;
    }

    for (int r = 0; r < R; ++r) {
        const int above = p * STR + r * DIL - PAD;
        if (above < 0 || above % DIV != 0 || above / DIV >= H) continue;
        __global const float *row = x + ((size_t)n * H + above / DIV) * Wd * XS;
#if WS
        const int window = j0 * STR - PAD;
        if (window >= 0 && window + (PT - 1) * STR + WS <= Wd) {
            __global const float *wp = w + (size_t)(kt * R + r) * WS * WC * KT;
            const int step = STR * WC;
            __global const float *xp0 = row + (ptrdiff_t)window * WC;
            ACCUMULATE(0, PT, WS * WC)
            continue;
        }
#endif
        for (int s = 0; s < S; ++s) {
            const int left = parity * STR + s * DIL - PAD;
            if (left % DIV != 0) continue;
            const int column = left / DIV + j0 * STR;
            if (column + (count - 1) * STR < 0 || column >= Wd) continue;
            __global const float *wp = w + (size_t)((kt * R + r) * S + s) * C * KT;
            const int step = STR * XS;
            __global const float *xp0 = row + (ptrdiff_t)column * XS;
#if VARIANTS > 0
            const int from = max(0, -column), to = min(count, Wd - column);
            if (from >= to) continue;
#else
            const int from = column >= 0 ? 0 : 1, to = column + (PT - 1) * STR < Wd ? PT : 0;
#endif
            if (from == 0 && to == PT) {
                ACCUMULATE(0, PT, C)
            }
#if VARIANTS > 0
            else if (from == F1 && to == T1) {
                ACCUMULATE(F1, T1, C)
            }
#endif
#if VARIANTS > 1
            else if (from == F2 && to == T2) {
                ACCUMULATE(F2, T2, C)
            }
#endif
#if VARIANTS > 2
            else if (from == F3 && to == T3) {
                ACCUMULATE(F3, T3, C)
            }
#endif
#if VARIANTS > 3
            else if (from == F4 && to == T4) {
                ACCUMULATE(F4, T4, C)
            }
#endif
#if VARIANTS > 4
            else if (from == F5 && to == T5) {
                ACCUMULATE(F5, T5, C)
            }
#endif
#if VARIANTS > 5
            else if (from == F6 && to == T6) {
                ACCUMULATE(F6, T6, C)
            }
#endif
            else {
                __global const float *xp[PT];
                for (int i = 0; i < PT; ++i) {
                    const int source = column + i * STR;
                    xp[i] = i < count && source >= 0 && source < Wd ? row + (size_t)source * XS : zeros;
                }
                for (int c = 0; c < C; ++c) {
                    LOAD_WEIGHTS(wp)
                    wp += KT;
                    __attribute__((opencl_unroll_hint))
                    for (int i = 0; i < PT; ++i) {
                        const float16 value = (float16)(xp[i][c]);
                        __attribute__((opencl_unroll_hint))
                        for (int j = 0; j < KV; ++j) acc[i][j] = fma(value, wv[j], acc[i][j]);
                    }
                }
            }
        }
    }

    const size_t at = (((size_t)n * P + p) * Q + parity + (size_t)j0 * DIV) * YS + kt * KT;
    __attribute__((opencl_unroll_hint))
    for (int i = 0; i < PT; ++i) {
        if (i < first || i >= count) continue;
        __attribute__((opencl_unroll_hint))
        for (int j = 0; j < KV; ++j)
            if (kt * KT + 16 * j < YS) {
                const size_t o = at + (size_t)i * DIV * YS + 16 * j;
                const int k = kt * KT + 16 * j;
                vstore16(epilogue(acc[i][j], scale + k, shift + k, residual + o, flags), 0, y + o);
            }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void convolution_weights(__global const float *restrict x, __global const float *restrict dy,
                         __global float *restrict dw, int x_at, int dy_at, int N, int H, int Wd, int C, int XS, int XP,
                         int P, int Q, int YS, int YP, int KS, int R, int S, int STR, int DIL, int PAD, int span,
                         int group, int rows) {
    const int kt = (int)get_global_id(1), tap = (int)get_global_id(2) % (R * S), split = (int)get_global_id(2) / (R * S);
    const int r = tap / S, s = tap % S;
#if WS
    // Where the whole kernel row is inside the image; the other pixels come one by one.
    const int shift = -PAD, q0 = min(Q, (PAD + STR - 1) / STR);
    const int q1 = max(q0, Wd + PAD >= WS ? min(Q, (Wd + PAD - WS) / STR + 1) : 0);
#else
    const int shift = s * DIL - PAD;
    const int q0 = shift < 0 ? (-shift + STR - 1) / STR : 0, q1 = Wd - shift > 0 ? min(Q, (Wd - 1 - shift) / STR + 1) : 0;
#endif

    const int start = split * span, end = min((split + 1) * span, N * P);
    for (int begin = start; begin < end; begin += rows) {
        const int stop = min(begin + rows, end);
        for (int g = 0; g < group; ++g) {
            int c0 = ((int)get_global_id(0) * group + g) * CT, first = 0;
            if (c0 >= C) break;
            if (c0 + CT > C) {
                first = c0 + CT - C;
                c0 = C - CT;
            }
            __global float *out = dw + (((size_t)split * R * S + tap) * C + c0) * KS + kt * KT;

            float16 acc[CT][KV];
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < CT; ++i)
                __attribute__((opencl_unroll_hint))
                for (int j = 0; j < KV; ++j) acc[i][j] = begin == start ? 0.0f : vload16(0, out + (size_t)i * KS + 16 * j);

            for (int index = begin; index < stop; ++index) {
                const int n = index / P, h = (index % P) * STR + r * DIL - PAD;
                if (h < 0 || h >= H) continue;
#if WS
                for (int edge = 0; edge < Q - (q1 - q0); ++edge) {
                    const int q = edge < q0 ? edge : edge + (q1 - q0), column = q * STR - PAD;
                    __global const float *row = x + x_at + ((size_t)n * H + h) * Wd * WC;
                    __global const float *yp = dy + dy_at + ((size_t)index * Q + q) * YS + (size_t)kt * KT * YP;
                    LOAD_WEIGHTS(yp)
                    __attribute__((opencl_unroll_hint))
                    for (int i = 0; i < CT; ++i) {
                        const int source = column + i / WC;
                        const float16 value =
                            (float16)(source >= 0 && source < Wd ? row[(ptrdiff_t)column * WC + i] : 0.0f);
                        __attribute__((opencl_unroll_hint))
                        for (int j = 0; j < KV; ++j) acc[i][j] = fma(value, wv[j], acc[i][j]);
                    }
                }
#endif
                if (q0 >= q1) continue;
                __global const float *xp =
                    x + x_at + (((size_t)n * H + h) * Wd + q0 * STR + shift) * XS + (size_t)c0 * XP;
                __global const float *yp = dy + dy_at + ((size_t)index * Q + q0) * YS + (size_t)kt * KT * YP;
                for (int q = q0; q < q1; ++q) {
                    LOAD_WEIGHTS(yp)
                    __attribute__((opencl_unroll_hint))
                    for (int i = 0; i < CT; ++i) {
                        const float16 value = (float16)(xp[i]);
                        __attribute__((opencl_unroll_hint))
                        for (int j = 0; j < KV; ++j) acc[i][j] = fma(value, wv[j], acc[i][j]);
                    }
                    xp += STR * XS;
                    yp += YS;
                }
            }

            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < CT; ++i) {
                if (i < first) continue;
                __attribute__((opencl_unroll_hint))
                for (int j = 0; j < KV; ++j) vstore16(acc[i][j], 0, out + (size_t)i * KS + 16 * j);
            }
        }
    }
}
