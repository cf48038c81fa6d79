// The matrix products of Winograd convolutions for CPUs, one for each place in a tile (convolution_winograd.cl).
//
//   winograd_products         M[e][t][k] = sum_c V[e][t][c] U[e][c][k]
//   winograd_weight_products  U[e][c][k] = sum_t V[e][t][c] Z[e][t][k], added to U but for the first chunk
//
// Sums over many channels are sums of sums over SUMMED channels: rounding errors of F(5, 3) stay small enough so.
// Where registers hold few sums, SUMMED x 32 weights stay in a first-level cache while `span` tiles walk under them.
//
// Tunables: PT tiles, for winograd_products; without it, CB channels at a time, for winograd_weight_products; times KR
// vectors of 16 of the 32 channels, in registers.

#ifndef KR
#define KR 2
#endif
#ifndef CB
#define CB 8
#endif
#define SUMMED (KR == 1 ? 128 : 256)
#define EACH_VECTOR(j) UNROLLED for (int j = 0; j < KR; ++j)

// From tile to tile of V, so that the tiles of a block do not share cache sets.
#define PITCH(C) ((C) + 16)

#ifdef PT
// Layout: global (blocks of `span` tiles, groups of `group` x 32 channels, places). Where a block is long, its pixels
// stay in a second-level cache for all channels; where it is PT tiles, neighbours share the weights.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_products(__global float *scratch, __global const float *weights, int v_at, int u_at, int m_at, int C,
                       int KS, int T, int v_stride, int u_stride, int m_stride, int span, int group) {
    const int e = (int)get_global_id(2), first_kt = (int)get_global_id(1) * group;
    const int start = (int)get_global_id(0) * span, end = min(start + span, T);
    __global const float *v = scratch + v_at + (size_t)e * v_stride;
    for (int kt = first_kt; kt < min(first_kt + group, KS / 32); ++kt) {
        __global const float *u = weights + u_at + (size_t)e * u_stride + (size_t)kt * C * 32;
        __global float *m = scratch + m_at + (size_t)e * m_stride + kt * 32;
        for (int begin = 0; begin < C; begin += SUMMED) {
            const int depth = min(SUMMED, C - begin);
            // A share of the next weights for each step of tiles; they lie behind these.
            const int ahead = KR == 1 ? depth * 32 / ((end - start + PT - 1) / PT) / 16 * 16 : 0;
            for (int tile = start; tile < end; tile += PT) {
                PREFETCH(u + (size_t)(begin + depth) * 32 + (tile - start) / PT * ahead, ahead)
                for (int k = 0; k < 32; k += 16 * KR) {
                    // The last tiles are moved left to stay as many and store only what their neighbours do not.
                    const int t = min(tile, T - PT), first = tile - t;
                    __global const float *vp = v + (size_t)t * PITCH(C) + begin, *up = u + (size_t)begin * 32 + k;
                    float16 acc[PT][KR];
                    UNROLLED
                    for (int i = 0; i < PT; ++i)
                        EACH_VECTOR(j) acc[i][j] = 0.0f;
                    for (int c = 0; c < depth; ++c, up += 32) {
                        float16 weights[KR];
                        EACH_VECTOR(j) weights[j] = vload16(j, up);
                        UNROLLED
                        for (int i = 0; i < PT; ++i) {
                            const float16 value = (float16)(vp[i * PITCH(C) + c]);
                            EACH_VECTOR(j) acc[i][j] = fma(value, weights[j], acc[i][j]);
                        }
                    }
                    UNROLLED
                    for (int i = 0; i < PT; ++i) {
                        if (i < first) continue;
                        __global float *sum = m + (size_t)(t + i) * KS + k;
                        EACH_VECTOR(j) vstore16(begin > 0 ? vload16(j, sum) + acc[i][j] : acc[i][j], j, sum);
                    }
                }
            }
        }
    }
}
#else

// Tiles whose Z, of 32 channels, stays in a first-level cache, and input channels that it stays for.
#define BLOCK 128
#define CHANNELS 16

// Layout: global (K / 32, depth / CHANNELS, places): neighbours share the pixels.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_weight_products(__global float *scratch, int v_at, int z_at, int u_at, int K, int T, int v_stride,
                              int z_stride, int u_stride, int accumulate) {
    const int e = (int)get_global_id(2), c0 = (int)get_global_id(1) * CHANNELS, k0 = (int)get_global_id(0) * 32;
    __global const float *v = scratch + v_at + (size_t)e * v_stride + (size_t)c0 * T;
    __global const float *z = scratch + z_at + (size_t)e * z_stride + (size_t)k0 * T;
    __global float *out = scratch + u_at + (size_t)e * u_stride + (size_t)c0 * K + k0;
    float sums[CHANNELS][32];
    for (int begin = 0; begin < T; begin += BLOCK)
        for (int c = 0; c < CHANNELS; c += CB)
            for (int k = 0; k < 32; k += 16 * KR) {
                __global const float *vp = v + (size_t)(c / 8 * 8) * T + c % 8, *zp = z + k;
                float16 acc[CB][KR];
                UNROLLED
                for (int i = 0; i < CB; ++i)
                    EACH_VECTOR(j) acc[i][j] = begin > 0 ? vload16(j, sums[c + i] + k) : 0.0f;
                for (int t = begin; t < min(begin + BLOCK, T); ++t) {
                    float16 gradient[KR];
                    EACH_VECTOR(j) gradient[j] = vload16(j, zp + (size_t)t * 32);
                    UNROLLED
                    for (int i = 0; i < CB; ++i) {
                        const float16 value = (float16)(vp[(size_t)t * 8 + i]);
                        EACH_VECTOR(j) acc[i][j] = fma(value, gradient[j], acc[i][j]);
                    }
                }
                UNROLLED
                for (int i = 0; i < CB; ++i)
                    EACH_VECTOR(j) vstore16(acc[i][j], j, sums[c + i] + k);
            }
    for (int c = 0; c < CHANNELS; ++c)
        for (int j = 0; j < 2; ++j) {
            __global float *sum = out + (size_t)c * K;
            const float16 before = accumulate ? vload16(j, sum) : 0.0f;
            vstore16(before + vload16(j, sums[c]), j, sum);
        }
}
#endif
