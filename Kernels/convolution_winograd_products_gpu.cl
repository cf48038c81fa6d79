// The products of Winograd's convolutions, for GPUs: winograd_products and winograd_weight_products as in
// convolution_winograd_products_cpu.cl. Tiles and their steps are those of tile.h, tunables too.

#include "tile.h"

// Of U and Z: row d of a block of 32 columns, `depth` rows deep.
INLINE float4 blocked(__global const float *p, int depth, int d, int column) {
    return aligned(p + ((size_t)(column / 32) * depth + d) * 32 + column % 32);
}

// M[e][t][k] = sum_c V[e][t][c] U[e][c][k]
// Layout: groups (tiles of T, tiles of KS, places).
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void winograd_products(__global float *scratch, __global const float *weights, int v_at, int u_at, int m_at, int C,
                       int KS, int T, int v_stride, int u_stride, int m_stride) {
    LOCAL_MEMORY
    const int item = (int)get_local_id(0);
    const int row0 = (int)get_group_id(0) * TM, column0 = (int)get_group_id(1) * TN, e = (int)get_group_id(2);
    __global const float *left = scratch + v_at + (size_t)e * v_stride, *right = weights + u_at + (size_t)e * u_stride;
    float4 sums[RM][RN / 4];
    clear(sums);
    const int steps = (C + TK - 1) / TK;
    for (int number = 1 - STAGES; number < steps; ++number) {
        const int next = number + STAGES - 1;
        piece next_left[LEFT], next_right[RIGHT];
        if (next < steps) {
            UNROLL for (int v = 0; v < LEFT; ++v) {
                const int t = row0 + (item + v * ITEMS) / (TK / 4), c = next * TK + (item + v * ITEMS) % (TK / 4) * 4;
                // From tile to tile of V, as in convolution_winograd.cl.
                BRING_RAW(next_left[v], deep_place(a[next % STAGES], item, v), left + (size_t)t * (C + 16) + c,
                          t < T && c < C);
            }
            UNROLL for (int v = 0; v < RIGHT; ++v) {
                const int c = next * TK + (item + v * ITEMS) / (TN / 4);
                const int k = column0 + (item + v * ITEMS) % (TN / 4) * 4;
                BRING(next_right[v], right_place(b[next % STAGES], item, v),
                      c < C && k < KS ? blocked(right, C, c, k) : (float4)(0.0f));
            }
        }
        MULTIPLY_STEP(1, 1, 0)
    }
    store_sums(scratch + m_at + (size_t)e * m_stride, T, KS, row0, column0, item, sums, 0);
}

// U[e][c][k] = sum_t V[e][t][c] Z[e][t][k] for C input channels, added to U but for the first chunk of tiles
// Layout: groups (tiles of K, tiles of C, places).
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void winograd_weight_products(__global float *scratch, int v_at, int z_at, int u_at, int C, int K, int T, int v_stride,
                              int z_stride, int u_stride, int accumulate) {
    LOCAL_MEMORY
    const int item = (int)get_local_id(0);
    const int row0 = (int)get_group_id(1) * TM, column0 = (int)get_group_id(0) * TN, e = (int)get_group_id(2);
    __global const float *left = scratch + v_at + (size_t)e * v_stride, *right = scratch + z_at + (size_t)e * z_stride;
    float4 sums[RM][RN / 4];
    clear(sums);
    const int steps = (T + TK - 1) / TK;
    for (int number = 1 - STAGES; number < steps; ++number) {
        const int next = number + STAGES - 1;
        piece next_left[LEFT], next_right[RIGHT];
        if (next < steps) {
            UNROLL for (int v = 0; v < LEFT; ++v) {
                const int at = item + v * ITEMS, t = next * TK + at / (TM / 4), c = row0 + at % (TM / 4) * 4;
                BRING_RAW(next_left[v], left_place(a[next % STAGES], item, v),
                          left + ((size_t)(c / 8) * T + t) * 8 + c % 8, t < T && c < C);
            }
            UNROLL for (int v = 0; v < RIGHT; ++v) {
                const int at = item + v * ITEMS, t = next * TK + at / (TN / 4), k = column0 + at % (TN / 4) * 4;
                BRING(next_right[v], right_place(b[next % STAGES], item, v),
                      t < T && k < K ? blocked(right, T, t, k) : (float4)(0.0f));
            }
        }
        MULTIPLY_STEP(0, 1, 0)
    }
    store_sums(scratch + u_at + (size_t)e * u_stride, C, K, row0, column0, item, sums, accumulate);
}
