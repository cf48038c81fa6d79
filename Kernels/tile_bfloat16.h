// A work-group's tile of a matrix product with bfloat16 operands in local memory, multiplied by the matrix units of
// NVIDIA's processors, for convolution_gpu.cl (OPERAND16 1).
//
// The instruction (PTX ISA, mma.m16n8k16) multiplies 16 x 16 x 8 at a time; sums are float32. Groups of 32 items,
// warps, have 8 RM rows and 4 RN columns of the tile. Of an instruction's operands and sums an item of lane l has, with
// g = l / 4 and t = l % 4,
//
//   16 x 16 left side   rows g, g + 8 at depths 2 t, 2 t + 1, 2 t + 8, 2 t + 9        16 x 8 right side   column g at
//   the same depths 16 x 8 sums         rows g, g + 8 in columns 2 t, 2 t + 1
//
//   item owns rows g + 8 v, v < RM, and columns 2 t + 16 u, + 1, + 8, + 9, u < RN / 4, from its warp's first on
//
// and gets the operands by ldmatrix: four 8 x 8 matrices, of which lane 8 i + r names row r of the i-th, and gets of
// each two values: row g at 2 t, 2 t + 1, or with .trans rows 2 t, 2 t + 1 at g. So both sides stay as they lie in
// global memory, and go from there to local memory without passing registers (cp.async), 16 bytes at a time: the left
// side by rows where its depth is contiguous ("deep"), else by depth, the right side by depth. What is float32 in
// global memory is rounded on the way.
//
// MMA 2 does the same without the instructions: slow, for tests on other devices.
//
// Local memory: 2 STAGES (TM (TK + 8) + TK (TN + 8)) bytes, and 4 (2 RM + RN) per item more with MMA 2.

// What an item moves at a time: neighbours in memory.
#define PIECE 8
typedef uint4 piece;
#if MMA == 1
INLINE uint2 rounded_pairs(float4 v) {
    uint2 pairs;
    ROUND_BFLOAT16(pairs.x, v.x, v.y);
    ROUND_BFLOAT16(pairs.y, v.z, v.w);
    return pairs;
}
#else
INLINE uint2 rounded_pairs(float4 v) { return as_uint2(narrow(v)); }
#endif
INLINE piece rounded(float4 low, float4 high) { return (uint4)(rounded_pairs(low), rounded_pairs(high)); }
#define PIECE_OF(four) rounded(four(0), four(4))

// Rows lie 16 bytes further in a line of banks than the ones before, so that ldmatrix meets each bank once.
#define DEEP_PITCH (TK + 8)
#define LEFT_PITCH (TM + 8)
#define RIGHT_PITCH (TN + 8)
typedef ushort stored;
typedef uint exchanged;
// A deep left side is never the smaller one: TM >= TK.
#define LEFT_SIZE (TM * DEEP_PITCH)
#define RIGHT_SIZE (TK * RIGHT_PITCH)

// Where the v-th piece of an item goes.
INLINE __local stored *deep_place(__local stored *a, int item, int v) {
    const int at = item + v * ITEMS;
    return a + at / (TK / 8) * DEEP_PITCH + at % (TK / 8) * 8;
}
INLINE __local stored *left_place(__local stored *a, int item, int v) {
    const int at = item + v * ITEMS;
    return a + at / (TM / 8) * LEFT_PITCH + at % (TM / 8) * 8;
}
INLINE __local stored *right_place(__local stored *b, int item, int v) {
    const int at = item + v * ITEMS;
    return b + at / (TN / 8) * RIGHT_PITCH + at % (TN / 8) * 8;
}

// Starts to bring a piece, or zeros; it is there for its item after `arrived`.
INLINE void copy(__local stored *to, __global const ushort *from, int live) {
#if MMA == 1
    COPY_ASYNC(to, from, live ? 16 : 0);
#else
    *(__local uint4 *)to = live ? *(__global const uint4 *)from : (uint4)(0);
#endif
}
#define BRING_RAW(held, to, from, live) copy(to, from, live)
#define BRING(held, to, value) held = (value)
#if MMA == 1
// The copies of a step have been started, and all but those of the last STAGES - 2 steps are there.
#define BROUGHT COPIES_STARTED; COPIES_ARRIVED(STAGES - 2)
#else
#define BROUGHT
#endif
// What came from float32 is held in registers while the step before is multiplied.
#define HELD(raw) (!(raw))
INLINE void store_deep(__local stored *a, int item, const piece values[LEFT]) {
    UNROLL for (int v = 0; v < LEFT; ++v) *(__local uint4 *)deep_place(a, item, v) = values[v];
}
INLINE void store_left(__local stored *a, int item, const piece values[LEFT]) {
    UNROLL for (int v = 0; v < LEFT; ++v) *(__local uint4 *)left_place(a, item, v) = values[v];
}
INLINE void store_right(__local stored *b, int item, const piece values[RIGHT]) {
    UNROLL for (int v = 0; v < RIGHT; ++v) *(__local uint4 *)right_place(b, item, v) = values[v];
}

// The tile's row and first column of an item's sums [k][u].
INLINE int tile_row(int item, int k) { return item / 32 / (TJ / 4) * 8 * RM + item % 32 / 4 + k * 8; }
INLINE int tile_column(int item, int u) { return item / 32 % (TJ / 4) * 4 * RN + item % 4 * 2 + u * 16; }

// What an item's sums [k][u] are columns of, and where results go: two columns and the two eight further.
INLINE float4 read_columns(__global const float *p) {
    return (float4)(*(__global const float2 *)p, *(__global const float2 *)(p + 8));
}
INLINE void write_columns(float4 sum, __global float *p) {
    *(__global float2 *)p = sum.xy;
    *(__global float2 *)(p + 8) = sum.zw;
}
INLINE float4 read_columns16(__global const ushort *p) {
    return widen((ushort4)(*(__global const ushort2 *)p, *(__global const ushort2 *)(p + 8)));
}
INLINE void write_columns16(float4 sum, __global ushort *p) {
    const uint2 value = rounded_pairs(sum);
    *(__global uint *)p = value.x;
    *(__global uint *)(p + 8) = value.y;
}

// Rows that lanes name of the four matrices of a fragment: the left side's of 16 x 16, deep or not, the right side's of
// 16 x 16, for two instructions.
#define DEEP_ROW(l) (a + (row + (l) % 16) * DEEP_PITCH + d + (l) / 16 * 8)
#define LEFT_ROW(l) (a + (d + (l) / 16 * 8 + (l) % 8) * LEFT_PITCH + row + (l) / 8 % 2 * 8)
#define RIGHT_ROW(l) (b + (d + (l) % 16) * RIGHT_PITCH + column + (l) / 16 * 8)

#if MMA == 1
#define LOAD_ROWS(to, ROW_OF) LOAD_MATRICES(to.x, to.y, to.z, to.w, ROW_OF(lane))
#define LOAD_COLUMNS(to, ROW_OF) LOAD_MATRICES_TRANSPOSED(to.x, to.y, to.z, to.w, ROW_OF(lane))
#else
#define ROW_WORD(i, ROW_OF) *(__local const uint *)(ROW_OF(8 * i + lane / 4) + lane % 4 * 2)
#define LOAD_ROWS(to, ROW_OF) \
    to = (uint4)(ROW_WORD(0, ROW_OF), ROW_WORD(1, ROW_OF), ROW_WORD(2, ROW_OF), ROW_WORD(3, ROW_OF))
#define COLUMN_WORD(i, ROW_OF) \
    (ROW_OF(8 * i + lane % 4 * 2)[lane / 4] | (uint)ROW_OF(8 * i + lane % 4 * 2 + 1)[lane / 4] << 16)
#define LOAD_COLUMNS(to, ROW_OF) \
    to = (uint4)(COLUMN_WORD(0, ROW_OF), COLUMN_WORD(1, ROW_OF), COLUMN_WORD(2, ROW_OF), COLUMN_WORD(3, ROW_OF))
#endif

// sums += a b of one step.
INLINE void multiply(__local const stored *a, __local const stored *b, int item, float4 sums[RM][RN / 4],
                     __local exchanged *registers, int deep) {
    const int lane = item % 32, warp = item / 32;
    UNROLL for (int d = 0; d < TK; d += 16) {
        uint4 left[RM / 2], right[RN / 4];
        UNROLL for (int u = 0; u < RN / 4; ++u) {
            const int column = warp % (TJ / 4) * 4 * RN + 16 * u;
            LOAD_COLUMNS(right[u], RIGHT_ROW);
        }
        UNROLL for (int v = 0; v < RM / 2; ++v) {
            const int row = warp / (TJ / 4) * 8 * RM + 16 * v;
            if (deep) {
                LOAD_ROWS(left[v], DEEP_ROW);
            } else {
                LOAD_COLUMNS(left[v], LEFT_ROW);
            }
        }
#if MMA == 1
        UNROLL for (int v = 0; v < RM / 2; ++v)
            UNROLL for (int u = 0; u < RN / 4; ++u) {
                float4 *upper = &sums[2 * v][u], *lower = &sums[2 * v + 1][u];
                MMA_BFLOAT16(upper->x, upper->y, lower->x, lower->y, left[v], right[u].x, right[u].y);
                MMA_BFLOAT16(upper->z, upper->w, lower->z, lower->w, left[v], right[u].z, right[u].w);
            }
#else
        // Left registers of v at 4 v, right registers of u at 2 RM + 4 u.
        const int g = lane / 4, t = lane % 4, own = item * (2 * RM + RN), warps = warp * 32 * (2 * RM + RN);
        UNROLL for (int v = 0; v < RM / 2; ++v) vstore4(left[v], v, registers + own);
        UNROLL for (int u = 0; u < RN / 4; ++u) vstore4(right[u], u, registers + own + 2 * RM);
        barrier(CLK_LOCAL_MEM_FENCE);
        UNROLL for (int k = 0; k < RM; ++k)
            UNROLL for (int u = 0; u < RN / 4; ++u) {
                float sum[4] = {sums[k][u].x, sums[k][u].y, sums[k][u].z, sums[k][u].w};
                UNROLL for (int q = 0; q < 4; ++q)
                    UNROLL for (int depth = 0; depth < 16; ++depth) {
                        const int from = g * 4 + depth % 8 / 2, to = (2 * t + q % 2) * 4 + depth % 8 / 2;
                        const uint x = registers[warps + from * (2 * RM + RN) + k / 2 * 4 + k % 2 + depth / 8 * 2];
                        const uint y = registers[warps + to * (2 * RM + RN) + 2 * RM + u * 4 + q / 2 * 2 + depth / 8];
                        sum[q] = fma(as_float(x >> depth % 2 * 16 << 16), as_float(y >> depth % 2 * 16 << 16), sum[q]);
                    }
                sums[k][u] = (float4)(sum[0], sum[1], sum[2], sum[3]);
            }
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
    }
}
