// Whether the device's compiler takes the instructions of matrix_units.h, and what they compute: sums = left right, of
// operands that
// OPERAND16 0: TensorFloat-32 represents, 16 x 8 and 8 x 8, stored as float32;
// OPERAND16 1: bfloat16 represents, 16 x 16 and 16 x 16, stored so, the last eight values of the left side taken as
// zeros. Everything row by row. One group of 32 items.
#include "matrix_units.h"

#if OPERAND16
__kernel __attribute__((reqd_work_group_size(32, 1, 1)))
void matrix_units(__global const ushort *left, __global const ushort *right, __global float *sums) {
    __local ushort a[16 * 24] __attribute__((aligned(16)));
    __local ushort b[16 * 24] __attribute__((aligned(16)));
    const int lane = (int)get_local_id(0), g = lane / 4, t = lane % 4;
    COPY_ASYNC(a + lane / 2 * 24 + lane % 2 * 8, left + 8 * lane, lane < 31 ? 16 : 0);
    COPY_ASYNC(b + lane / 2 * 24 + lane % 2 * 8, right + 8 * lane, 16);
    COPIES_STARTED;
    COPIES_ARRIVED(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    uint4 rows, columns;
    LOAD_MATRICES(rows.x, rows.y, rows.z, rows.w, a + lane % 16 * 24 + lane / 16 * 8);
    LOAD_MATRICES_TRANSPOSED(columns.x, columns.y, columns.z, columns.w, b + lane % 16 * 24 + lane / 16 * 8);
    float4 low = 0.0f, high = 0.0f;
    MMA_BFLOAT16(low.x, low.y, low.z, low.w, rows, columns.x, columns.y);
    MMA_BFLOAT16(high.x, high.y, high.z, high.w, rows, columns.z, columns.w);
    vstore2(low.xy, 0, sums + 16 * g + 2 * t);
    vstore2(low.zw, 0, sums + 16 * (g + 8) + 2 * t);
    vstore2(high.xy, 0, sums + 16 * g + 2 * t + 8);
    vstore2(high.zw, 0, sums + 16 * (g + 8) + 2 * t + 8);
}
#else
__kernel __attribute__((reqd_work_group_size(32, 1, 1)))
void matrix_units(__global const float *left, __global const float *right, __global float *sums) {
    const int lane = (int)get_local_id(0), g = lane / 4, t = lane % 4;
    float c0 = 0.0f, c1 = 0.0f, c2 = 0.0f, c3 = 0.0f;
    MMA_TF32(c0, c1, c2, c3, left[8 * g + t], left[8 * (g + 8) + t], left[8 * g + t + 4], left[8 * (g + 8) + t + 4],
             right[8 * t + g], right[8 * (t + 4) + g]);
    sums[8 * g + 2 * t] = c0;
    sums[8 * g + 2 * t + 1] = c1;
    sums[8 * (g + 8) + 2 * t] = c2;
    sums[8 * (g + 8) + 2 * t + 1] = c3;
}
#endif
