// Whether the device's compiler takes the instruction behind MMA in convolution_gpu.cl, and what it computes: sums[16][8] =
// left[16][8] right[8][8] of operands that TensorFloat-32 represents, everything row by row. One group of 32 items.
__kernel __attribute__((reqd_work_group_size(32, 1, 1)))
void matrix_units(__global const float *left, __global const float *right, __global float *sums) {
    const int lane = (int)get_local_id(0), g = lane / 4, t = lane % 4;
    float c0 = 0.0f, c1 = 0.0f, c2 = 0.0f, c3 = 0.0f;
    __asm__ volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                     "{%0, %1, %2, %3};"
                     : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
                     : "r"(as_uint(left[8 * g + t])), "r"(as_uint(left[8 * (g + 8) + t])),
                       "r"(as_uint(left[8 * g + t + 4])), "r"(as_uint(left[8 * (g + 8) + t + 4])),
                       "r"(as_uint(right[8 * t + g])), "r"(as_uint(right[8 * (t + 4) + g])));
    sums[8 * g + 2 * t] = c0;
    sums[8 * g + 2 * t + 1] = c1;
    sums[8 * (g + 8) + 2 * t] = c2;
    sums[8 * (g + 8) + 2 * t + 1] = c3;
}
