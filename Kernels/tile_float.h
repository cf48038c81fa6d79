// A work-group's tile of a matrix product with float32 operands in local memory, for convolution_gpu.cl (OPERAND16 0).
//
// An item has TM TN / ITEMS sums of it in vectors of four that lie apart, so that neighbouring items read neighbouring
// words:
//
//   item (i, j) owns rows 4 (i + v TI) ... + 3, v < RM / 4, and columns 4 (j + u TJ) ... + 3, u < RN / 4
//
// MMA: the matrix units of NVIDIA's processors multiply, 16 x 8 x 8 at a time, operands that are rounded to
// TensorFloat-32 (10 bits of mantissa) on their way to local memory; sums are float32. Groups of 32 items, warps, have
// 8 RM rows and 4 RN columns of the tile. What the instruction (PTX ISA, mma.m16n8k8) gives to an item of lane l is,
// with g = l / 4 and t = l % 4, of its
//
//   16 x 8 left side   rows g, g + 8 at depths t, t + 4        8 x 8 right side   column g at depths t, t + 4
//   16 x 8 sums        rows g, g + 8 in columns 2 t, 2 t + 1
//
// Its rows r and r + 8 are rows 2 r and 2 r + 1 of the tile, and column c of two neighbouring instructions is columns 2
// c and 2 c + 1, so that operands are read in pairs and sums are vectors of four columns:
//
//   item owns rows 2 g + 16 v, + 1, v < RM / 2, and columns 4 t + 16 u ... + 3, u < RN / 4, from its warp's first on
//
// MMA 2 makes the same sums from the same registers without the instruction: slow, for tests on other devices.
//
// Local memory: 8 TK (TM + 4 + TN) bytes; 8 TK (TM + TN + 16) with MMA, and 4 (2 RM + RN) per item more with MMA 2.

// What an item moves at a time: neighbours in memory.
#define PIECE 4
typedef float4 piece;
#define PIECE_OF(four) four(0)

// From depth to depth of either side: what neighbours store (transposing), or with MMA what they read, falls on
// different banks.
#define LEFT_PITCH (MMA ? TM + 8 : TM + 4)
#define RIGHT_PITCH (MMA ? TN + 8 : TN)
// Of the left side; with MMA rows change places by eights, so that neighbours store to different banks as well.
#define left_at(depth, row) ((depth) * LEFT_PITCH + (MMA ? (row) ^ (depth) / 4 % 4 * 8 : (row)))

typedef float stored, exchanged;
#define LEFT_SIZE (TK * LEFT_PITCH)
#define RIGHT_SIZE (TK * RIGHT_PITCH)

INLINE float4 aligned_local(__local const float *p) { return *(__local const float4 *)p; }

// The tile's row and first column of an item's sums [k][u].
INLINE int tile_row(int item, int k) {
#if MMA
    return item / 32 / (TJ / 4) * 8 * RM + item % 32 / 4 * 2 + k / 2 * 16 + k % 2;
#else
    return 4 * (item / TJ + k / 4 * TI) + k % 4;
#endif
}
INLINE int tile_column(int item, int u) {
#if MMA
    return item / 32 % (TJ / 4) * 4 * RN + item % 4 * 4 + u * 16;
#else
    return 4 * (item % TJ + u * TJ);
#endif
}

#if MMA == 1
// sums += left right, an instruction for each second column.
#define MMA_PART(part, low, high)                                                                                  \
    {                                                                                                              \
        float c0 = row0->low, c1 = row0->high, c2 = row1->low, c3 = row1->high;                                    \
        MMA_TF32(c0, c1, c2, c3, left[0].x, left[0].y, left[1].x, left[1].y, right[0].part, right[1].part);        \
        row0->low = c0;                                                                                            \
        row0->high = c1;                                                                                           \
        row1->low = c2;                                                                                            \
        row1->high = c3;                                                                                           \
    }
INLINE void multiply_fragments(const float2 left[2], const float2 right[2], float4 *row0, float4 *row1) {
    MMA_PART(x, x, z)
    MMA_PART(y, y, w)
}
#endif

#if MMA
INLINE void multiply(__local const float *a, __local const float *b, int item, float4 sums[RM][RN / 4],
                     __local exchanged *registers, int deep) {
    const int lane = item % 32, warp = item / 32, g = lane / 4, t = lane % 4;
    const int row = warp / (TJ / 4) * 8 * RM + 2 * g, column = warp % (TJ / 4) * 4 * RN + 2 * g;
    UNROLL for (int d = 0; d < TK; d += 8) {
        float2 right[RN / 4][2];
        UNROLL for (int part = 0; part < 2; ++part)
            UNROLL for (int u = 0; u < RN / 4; ++u)
                right[u][part] = *(__local const float2 *)(b + (d + 4 * part + t) * RIGHT_PITCH + column + 16 * u);
#if MMA == 2
        // Registers 0 ... 3 of the left side of v at 4 v, registers 0 and 1 of the right side of u and part s at 2 RM +
        // 4 u + 2 s.
        __local float *own = registers + item * (2 * RM + RN), *others = registers + warp * 32 * (2 * RM + RN);
#endif
        UNROLL for (int v = 0; v < RM / 2; ++v) {
            float2 left[2];
            UNROLL for (int part = 0; part < 2; ++part)
                left[part] = *(__local const float2 *)(a + t * LEFT_PITCH + left_at(d + 4 * part, row + 16 * v));
#if MMA == 1
            UNROLL for (int u = 0; u < RN / 4; ++u)
                multiply_fragments(left, right[u], &sums[2 * v][u], &sums[2 * v + 1][u]);
#else
            vstore2(left[0], 2 * v, own);
            vstore2(left[1], 2 * v + 1, own);
#endif
        }
#if MMA == 2
        UNROLL for (int u = 0; u < RN / 4; ++u) {
            vstore2((float2)(right[u][0].x, right[u][1].x), 2 * u, own + 2 * RM);
            vstore2((float2)(right[u][0].y, right[u][1].y), 2 * u + 1, own + 2 * RM);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        UNROLL for (int k = 0; k < RM; ++k)
            UNROLL for (int u = 0; u < RN / 4; ++u) {
                // The instruction's row g + 8 (k % 2) of fragment k / 2, columns 2 t and 2 t + 1 of parts 0 and 1.
                float sum[4] = {sums[k][u].x, sums[k][u].y, sums[k][u].z, sums[k][u].w};
                UNROLL for (int q = 0; q < 4; ++q)
                    UNROLL for (int depth = 0; depth < 8; ++depth) {
                        const int from = g * 4 + depth % 4, to = (2 * t + q / 2) * 4 + depth % 4;
                        sum[q] = fma(others[from * (2 * RM + RN) + k / 2 * 4 + k % 2 + depth / 4 * 2],
                                     others[to * (2 * RM + RN) + 2 * RM + u * 4 + q % 2 * 2 + depth / 4], sum[q]);
                    }
                sums[k][u] = (float4)(sum[0], sum[1], sum[2], sum[3]);
            }
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
    }
}

// To the nearest number of 10 bits of mantissa, ties away from zero; what is none stays so.
#if MMA == 1
INLINE float4 operand(float4 v) {
    uint4 rounded;
    ROUND_TF32(rounded.x, v.x);
    ROUND_TF32(rounded.y, v.y);
    ROUND_TF32(rounded.z, v.z);
    ROUND_TF32(rounded.w, v.w);
    return as_float4(rounded);
}
#else
INLINE float4 operand(float4 v) {
    const uint4 rounded = (as_uint4(v) + 0x1000u) & 0xffffe000u;
    return select(as_float4(rounded), v, isnan(v));
}
#endif
#else
INLINE void multiply(__local const float *a, __local const float *b, int item, float4 sums[RM][RN / 4],
                     __local exchanged *registers, int deep) {
    UNROLL for (int d = 0; d < TK; ++d) {
        float4 left[RM / 4], right[RN / 4];
        UNROLL for (int v = 0; v < RM / 4; ++v) left[v] = aligned_local(a + left_at(d, tile_row(item, 4 * v)));
        UNROLL for (int u = 0; u < RN / 4; ++u) right[u] = aligned_local(b + d * RIGHT_PITCH + tile_column(item, u));
        UNROLL for (int v = 0; v < RM / 4; ++v)
            UNROLL for (int u = 0; u < RN / 4; ++u) {
                sums[4 * v + 0][u] = fma((float4)(left[v].x), right[u], sums[4 * v + 0][u]);
                sums[4 * v + 1][u] = fma((float4)(left[v].y), right[u], sums[4 * v + 1][u]);
                sums[4 * v + 2][u] = fma((float4)(left[v].z), right[u], sums[4 * v + 2][u]);
                sums[4 * v + 3][u] = fma((float4)(left[v].w), right[u], sums[4 * v + 3][u]);
            }
    }
}

INLINE float4 operand(float4 v) { return v; }
#endif

// Pieces are held in registers while the step before is multiplied.
#define HELD(raw) 1
#define deep_place(a, item, v) 0
#define left_place(a, item, v) 0
#define right_place(b, item, v) 0
#define BRING_RAW(held, to, from, live) held = (live) ? aligned(from) : (piece)(0.0f)
#define BRING(held, to, value) held = (value)
#define BROUGHT

// What an item has brought, into a buffer: the left side row by row, its values being neighbours in depth; or as it is,
// values being neighbours in rows; and the right side, whose values are neighbours in columns.
INLINE void store_deep(__local float *a, int item, const piece values[LEFT]) {
    UNROLL for (int v = 0; v < LEFT; ++v) {
        const int row = (item + v * ITEMS) / (TK / 4), d = (item + v * ITEMS) % (TK / 4) * 4;
        const float4 value = operand(values[v]);
        a[left_at(d + 0, row)] = value.x;
        a[left_at(d + 1, row)] = value.y;
        a[left_at(d + 2, row)] = value.z;
        a[left_at(d + 3, row)] = value.w;
    }
}
INLINE void store_left(__local float *a, int item, const piece values[LEFT]) {
    UNROLL for (int v = 0; v < LEFT; ++v) {
        const int at = item + v * ITEMS;
        *(__local float4 *)(a + left_at(at / (TM / 4), at % (TM / 4) * 4)) = operand(values[v]);
    }
}
INLINE void store_right(__local float *b, int item, const piece values[RIGHT]) {
    UNROLL for (int v = 0; v < RIGHT; ++v) {
        const int at = item + v * ITEMS;
        *(__local float4 *)(b + at / (TN / 4) * RIGHT_PITCH + at % (TN / 4) * 4) = operand(values[v]);
    }
}

// What an item's sums [k][u] are columns of, and where results go.
INLINE float4 read_columns(__global const float *p) { return aligned(p); }
INLINE void write_columns(float4 sum, __global float *p) { *(__global float4 *)p = sum; }
