// Work-groups that make a tile of TM rows and TN columns of a matrix product, RM x RN of it per item: tile_float.h and
// tile_bfloat16.h say which, how operands lie in local memory and what multiplies them.
//
// Depth goes by in steps of TK through STAGES buffers: while one is multiplied, what the others are for is on its way
// from global memory. One barrier a step; the number of steps is the same for every item of a group, and no item leaves
// before the last one:
//
//     for (int number = 1 - STAGES; number < steps; ++number) {
//         const int next = number + STAGES - 1;
//         piece next_left[LEFT], next_right[RIGHT];
//         if (next < steps) { BRING or BRING_RAW each of them to its place in a[next % STAGES], b[next % STAGES] }
//         MULTIPLY_STEP(whether the left side is deep, is raw, and the right side is raw)
//     }
//
// Tunables: TM, TN, TK, RM, RN, STAGES (2, or more with OPERAND16); group size TM TN / (RM RN). MMA: 0, 1 on matrix
// units, 2 as they do it. OPERAND16: what is multiplied is bfloat16, else float32, with MMA TensorFloat-32.

#include "matrix_units.h"

#ifndef TM
#define TM 64
#define TN 64
#define TK 16
#define RM 4
#define RN 4
#endif
#ifndef MMA
#define MMA 0
#endif
#ifndef OPERAND16
#define OPERAND16 0
#endif
#ifndef STAGES
#define STAGES 2
#endif
#define TI (TM / RM)
#define TJ (TN / RN)
#define ITEMS (TI * TJ)
// Pieces that an item brings each step.
#define LEFT (TM * TK / PIECE / ITEMS)
#define RIGHT (TN * TK / PIECE / ITEMS)
// Emulation is slow as it is; written out, it would take compilers of CPUs seconds for each kernel as well.
#if MMA == 2
#define UNROLL __attribute__((opencl_unroll_hint(1)))
#else
#define UNROLL UNROLLED
#endif
// Sums are in registers only where everything that sees them is one function.
#define INLINE static inline __attribute__((always_inline))

// Rows and channels are padded to 16 values, tiles to 4: whole vectors.
INLINE float4 aligned(__global const float *p) { return *(__global const float4 *)p; }

#if OPERAND16
#include "tile_bfloat16.h"
typedef ushort operand_value;
#else
#include "tile_float.h"
typedef float operand_value;
#endif

// A group's buffers for each side, and what items tell each other with MMA 2.
#if MMA == 2
#define REGISTERS __local exchanged registers[ITEMS * (2 * RM + RN)];
#else
#define REGISTERS __local exchanged *registers = 0;
#endif
#define LOCAL_MEMORY                                                        \
    __local stored a[STAGES][LEFT_SIZE] __attribute__((aligned(16)));       \
    __local stored b[STAGES][RIGHT_SIZE] __attribute__((aligned(16)));      \
    REGISTERS

// What follows bringing in every step: the step before is multiplied, and pieces that were held go to local memory.
// Names are those of the loop above.
#define MULTIPLY_STEP(deep, left_raw, right_raw)                                                       \
    if (number >= 0) multiply(a[number % STAGES], b[number % STAGES], item, sums, registers, deep);    \
    if (next < steps) {                                                                                \
        if (HELD(left_raw)) {                                                                          \
            if (deep) store_deep(a[next % STAGES], item, next_left);                                   \
            else store_left(a[next % STAGES], item, next_left);                                        \
        }                                                                                              \
        if (HELD(right_raw)) store_right(b[next % STAGES], item, next_right);                          \
    }                                                                                                  \
    BROUGHT;                                                                                           \
    barrier(CLK_LOCAL_MEM_FENCE);

INLINE void clear(float4 sums[RM][RN / 4]) {
    UNROLL for (int k = 0; k < RM; ++k) UNROLL for (int u = 0; u < RN / 4; ++u) sums[k][u] = (float4)(0.0f);
}

// An item's part of the tile at (row0, column0) of a matrix; added to what is there, or in its place.
INLINE void store_sums(__global float *matrix, int rows, int columns, int row0, int column0, int item,
                       const float4 sums[RM][RN / 4], int accumulate) {
    UNROLL for (int k = 0; k < RM; ++k) {
        const int row = row0 + tile_row(item, k);
        if (row >= rows) continue;
        UNROLL for (int u = 0; u < RN / 4; ++u) {
            const int column = column0 + tile_column(item, u);
            if (column >= columns) continue;
            __global float *to = matrix + (size_t)row * columns + column;
            write_columns(accumulate ? read_columns(to) + sums[k][u] : sums[k][u], to);
        }
    }
}
