// The matrix products of Winograd convolutions for CPUs, one for each place in a tile (convolution_winograd.cl).
//
//   winograd_products         M[e][t][k] = sum_c V[e][t][c] U[e][c][k]
//   winograd_weight_products  U[e][c][k] = sum_t V[e][t][c] Z[e][t][k], added to U but for the first chunk
//
// Sums over many channels are sums of sums over SUMMED channels: rounding errors of F(5, 3) stay small enough so.
//
// Tunables: PT tiles per work-item, times 32 channels, in registers, for winograd_products; without it, CB x 32
// channels at a time of 8 x 32, for winograd_weight_products.

#ifndef CB
#define CB 8
#endif
#define SUMMED 256

// From tile to tile of V, so that the tiles of a block do not share cache sets.
#define PITCH(C) ((C) + 16)

#ifdef PT
// Layout: global (blocks of PT tiles, KS / 32, places): neighbours share the weights.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_products(__global float *scratch, int v_at, int u_at, int m_at, int C, int KS, int T, int v_stride,
                       int u_stride, int m_stride) {
    const int e = (int)get_global_id(2), kt = (int)get_global_id(1);
    int t = (int)get_global_id(0) * PT, first = 0;
    if (t + PT > T) {
        first = t + PT - T;
        t = T - PT;
    }
    __global const float *vp = scratch + v_at + (size_t)e * v_stride + (size_t)t * PITCH(C);
    __global const float *up = scratch + u_at + (size_t)e * u_stride + (size_t)kt * C * 32;
    __global float *out = scratch + m_at + (size_t)e * m_stride + (size_t)t * KS + kt * 32;
    for (int begin = 0; begin < C; begin += SUMMED) {
        float16 acc[PT][2];
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < PT; ++i) acc[i][0] = acc[i][1] = 0.0f;
        for (int c = begin; c < min(begin + SUMMED, C); ++c) {
            const float16 u0 = vload16(0, up), u1 = vload16(1, up);
            up += 32;
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < PT; ++i) {
                const float16 value = (float16)(vp[i * PITCH(C) + c]);
                acc[i][0] = fma(value, u0, acc[i][0]);
                acc[i][1] = fma(value, u1, acc[i][1]);
            }
        }
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < PT; ++i) {
            if (i < first) continue;
            __global float *sum = out + (size_t)i * KS;
            vstore16(begin > 0 ? vload16(0, sum) + acc[i][0] : acc[i][0], 0, sum);
            vstore16(begin > 0 ? vload16(1, sum) + acc[i][1] : acc[i][1], 1, sum);
        }
    }
}
#else

// Layout: global (K / 32, depth / 8, places): neighbours share the pixels.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_weight_products(__global float *scratch, int v_at, int z_at, int u_at, int K, int T, int v_stride,
                              int z_stride, int u_stride, int accumulate) {
    const int e = (int)get_global_id(2), c = (int)get_global_id(1) * 8, k = (int)get_global_id(0) * 32;
    __global const float *vp = scratch + v_at + (size_t)e * v_stride + (size_t)c * T;
    __global const float *zp = scratch + z_at + (size_t)e * z_stride + (size_t)k * T;
    __global float *out = scratch + u_at + (size_t)e * u_stride + (size_t)c * K + k;
    for (int part = 0; part < 8; part += CB) {
        float16 acc[CB][2];
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < CB; ++i) acc[i][0] = acc[i][1] = 0.0f;
        for (int t = 0; t < T; ++t) {
            const float16 z0 = vload16(0, zp + (size_t)t * 32), z1 = vload16(1, zp + (size_t)t * 32);
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < CB; ++i) {
                const float16 value = (float16)(vp[(size_t)t * 8 + part + i]);
                acc[i][0] = fma(value, z0, acc[i][0]);
                acc[i][1] = fma(value, z1, acc[i][1]);
            }
        }
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < CB; ++i)
            __attribute__((opencl_unroll_hint))
            for (int j = 0; j < 2; ++j) {
                __global float *sum = out + (size_t)(part + i) * K;
                const float16 before = accumulate ? vload16(j, sum) : 0.0f;
                vstore16(before + acc[i][j], j, sum);
            }
    }
}
#endif
