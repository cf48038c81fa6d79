// Convolution for GPUs: implicit matrix products through local memory. Formulas as in convolution_cpu.cl.
//
//   convolution_gather   rows = output pixels, columns = output channels, depth = taps x input channels
//   convolution_weights  rows = input channels of one tap, columns = output channels, depth = output pixels
//   winograd_products, winograd_weight_products: as in convolution_winograd_products.cl
//
// A work-group makes a tile of TM rows and TN columns, RM x RN of it per item, in vectors of four that lie apart so that
// neighbouring items read neighbouring words:
//
//   item (i, j) owns rows 4 (i + v TI) ... + 3, v < RM / 4, and columns 4 (j + u TJ) ... + 3, u < RN / 4
//
// Depth goes by in steps of TK through two buffers: while one is multiplied, the next step's values are on their way from
// global memory to registers, and then to the other buffer. One barrier a step; the number of steps is the same for every
// item of a group, and no item leaves before the last one.
//
// convolution_gather cuts the output in up to 3 x 3 regions in which the same taps count, so that a tile multiplies no
// padding: the thirds of a dilated convolution (before its first tap is inside the image, after its last one is not), or the
// parities of a strided one's input gradient. Along an axis a region has pixels start + step i, i < count, and taps first +
// tap_step t, t < taps, given as (start, count, first, taps). A tile lies in one region, across the batch.
//
// convolution_weights sums over those pixels of which its tap reads the inside of the image; split s of `splits` takes the
// s-th part of them, the same for every tile.
//
// MMA: tiles are multiplied by the matrix units of NVIDIA's processors, 16 x 8 x 8 at a time, of operands that are rounded to
// TensorFloat-32 (10 bits of mantissa) on their way to local memory; sums are float32. Groups of 32 items, warps, have 8 RM rows
// and 4 RN columns of the tile. What the instruction (PTX ISA, mma.m16n8k8) gives to an item of lane l is, with g = l / 4
// and t = l % 4, of its
//
//   16 x 8 left side   rows g, g + 8 at depths t, t + 4        8 x 8 right side   column g at depths t, t + 4
//   16 x 8 sums        rows g, g + 8 in columns 2 t, 2 t + 1
//
// Its rows r and r + 8 are rows 2 r and 2 r + 1 of the tile, and column c of two neighbouring instructions is columns 2 c and 2 c + 1,
// so that operands are read in pairs and sums are vectors of four columns:
//
//   item owns rows 2 g + 16 v, + 1, v < RM / 2, and columns 4 t + 16 u ... + 3, u < RN / 4, from its warp's first on
//
// MMA 2 makes the same sums from the same registers without the instruction: slow, for tests on other devices.
//
// Tunables: TM, TN, TK, RM, RN as above; group size TM TN / (RM RN). ROW: 0, or the channels of a compact image whose
// kernel rows are taken as one tap (their pixels lie side by side; S = 1, C = taps x channels). MMA: 0, 1 or 2.
// Local memory: 8 TK (TM + 4 + TN) bytes; 8 TK (TM + TN + 16) with MMA, and 4 (2 RM + RN) per item more with MMA 2.
// Weights [R][S][C][YS], with stored output channels.

#ifndef TM
#define TM 64
#define TN 64
#define TK 16
#define RM 4
#define RN 4
#endif
#ifndef ROW
#define ROW 0
#endif
#ifndef MMA
#define MMA 0
#endif
#define TI (TM / RM)
#define TJ (TN / RN)
#define ITEMS (TI * TJ)
// From depth to depth of either side: what neighbours store (transposing), or with MMA what they read, falls on different banks.
#define LEFT_PITCH (MMA ? TM + 8 : TM + 4)
#define RIGHT_PITCH (MMA ? TN + 8 : TN)
// Of the left side; with MMA rows change places by eights, so that neighbours store to different banks as well.
#define left_at(depth, row) ((depth) * LEFT_PITCH + (MMA ? (row) ^ (depth) / 4 % 4 * 8 : (row)))
// Vectors that an item loads each step.
#define LEFT (TM * TK / 4 / ITEMS)
#define RIGHT (TN * TK / 4 / ITEMS)
#define UNROLL __attribute__((opencl_unroll_hint))
// Sums are in registers only where everything that sees them is one function.
#define INLINE static inline __attribute__((always_inline))

// A group's two buffers for each side, and what items tell each other with MMA 2.
#define LOCAL_MEMORY                                                                 \
    __local float a[2][TK * LEFT_PITCH] __attribute__((aligned(16)));                \
    __local float b[2][TK * RIGHT_PITCH] __attribute__((aligned(16)));               \
    REGISTERS
#if MMA == 2
#define REGISTERS __local float registers[ITEMS * (2 * RM + RN)];
#else
#define REGISTERS __local float *registers = 0;
#endif

// Rows and channels are padded to 16 floats, tiles to 4: whole vectors.
INLINE float4 aligned(__global const float *p) { return *(__global const float4 *)p; }
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
                     __local float *registers) {
    const int lane = item % 32, warp = item / 32, g = lane / 4, t = lane % 4;
    const int row = warp / (TJ / 4) * 8 * RM + 2 * g, column = warp % (TJ / 4) * 4 * RN + 2 * g;
    UNROLL for (int d = 0; d < TK; d += 8) {
        float2 right[RN / 4][2];
        UNROLL for (int part = 0; part < 2; ++part)
            UNROLL for (int u = 0; u < RN / 4; ++u)
                right[u][part] = *(__local const float2 *)(b + (d + 4 * part + t) * RIGHT_PITCH + column + 16 * u);
#if MMA == 2
        // Registers 0 ... 3 of the left side of v at 4 v, registers 0 and 1 of the right side of u and part s at 2 RM + 4 u + 2 s.
        __local float *own = registers + item * (2 * RM + RN), *others = registers + warp * 32 * (2 * RM + RN);
#endif
        UNROLL for (int v = 0; v < RM / 2; ++v) {
            float2 left[2];
            UNROLL for (int part = 0; part < 2; ++part)
                left[part] = *(__local const float2 *)(a + t * LEFT_PITCH + left_at(d + 4 * part, row + 16 * v));
#if MMA == 1
            UNROLL for (int u = 0; u < RN / 4; ++u) multiply_fragments(left, right[u], &sums[2 * v][u], &sums[2 * v + 1][u]);
#else
            vstore2(left[0], 2 * v, own);
            vstore2(left[1], 2 * v + 1, own);
#endif
        }
#if MMA == 2
        for (int u = 0; u < RN / 4; ++u) {
            vstore2((float2)(right[u][0].x, right[u][1].x), 2 * u, own + 2 * RM);
            vstore2((float2)(right[u][0].y, right[u][1].y), 2 * u + 1, own + 2 * RM);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < RM; ++k)
            for (int u = 0; u < RN / 4; ++u) {
                // The instruction's row g + 8 (k % 2) of fragment k / 2, columns 2 t and 2 t + 1 of parts 0 and 1.
                float sum[4] = {sums[k][u].x, sums[k][u].y, sums[k][u].z, sums[k][u].w};
                for (int q = 0; q < 4; ++q)
                    for (int depth = 0; depth < 8; ++depth) {
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
INLINE float4 operand(float4 v) {
    const uint4 rounded = (as_uint4(v) + 0x1000u) & 0xffffe000u;
    return select(as_float4(rounded), v, isnan(v));
}
#else
INLINE void multiply(__local const float *a, __local const float *b, int item, float4 sums[RM][RN / 4],
                     __local float *registers) {
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

// What an item has loaded, into a buffer: the left side row by row, its values being neighbours in depth; or as it is, values
// being neighbours in rows; and the right side, whose values are neighbours in columns.
INLINE void store_transposed(__local float *a, int item, const float4 values[LEFT]) {
    UNROLL for (int v = 0; v < LEFT; ++v) {
        const int row = (item + v * ITEMS) / (TK / 4), d = (item + v * ITEMS) % (TK / 4) * 4;
        const float4 value = operand(values[v]);
        a[left_at(d + 0, row)] = value.x;
        a[left_at(d + 1, row)] = value.y;
        a[left_at(d + 2, row)] = value.z;
        a[left_at(d + 3, row)] = value.w;
    }
}
INLINE void store_left(__local float *a, int item, const float4 values[LEFT]) {
    UNROLL for (int v = 0; v < LEFT; ++v) {
        const int at = item + v * ITEMS;
        *(__local float4 *)(a + left_at(at / (TM / 4), at % (TM / 4) * 4)) = operand(values[v]);
    }
}
INLINE void store_right(__local float *b, int item, const float4 values[RIGHT]) {
    UNROLL for (int v = 0; v < RIGHT; ++v) {
        const int at = item + v * ITEMS;
        *(__local float4 *)(b + at / (TN / 4) * RIGHT_PITCH + at % (TN / 4) * 4) = operand(values[v]);
    }
}

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
            __global float4 *to = (__global float4 *)(matrix + (size_t)row * columns + column);
            *to = accumulate ? *to + sums[k][u] : sums[k][u];
        }
    }
}

// Four consecutive values of a pixel from c on; zero past `count` (compact tensors end mid-vector).
INLINE float4 some_channels(__global const float *p, int c, int count) {
    if (c + 4 <= count) return vload4(0, p + c);
    return (float4)(c < count ? p[c] : 0.0f, c + 1 < count ? p[c + 1] : 0.0f, c + 2 < count ? p[c + 2] : 0.0f, 0.0f);
}

// Four consecutive values of a kernel row from c on, in an image row of Wd pixels whose pixel `left` the row begins at.
INLINE float row_value(__global const float *image_row, int left, int c, int count, int Wd) {
#if ROW
    const int column = left + c / ROW;
    return c < count && column >= 0 && column < Wd ? image_row[left * ROW + c] : 0.0f;
#else
    return 0.0f;
#endif
}
INLINE float4 some_row(__global const float *image_row, int left, int c, int count, int Wd) {
    return (float4)(row_value(image_row, left, c, count, Wd), row_value(image_row, left, c + 1, count, Wd),
                    row_value(image_row, left, c + 2, count, Wd), row_value(image_row, left, c + 3, count, Wd));
}

// Layout: groups (tiles of all regions, tiles of columns).
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void convolution_gather(__global const float *restrict x, __global const float *restrict w, __global const float *bias,
                        __global const float *scale, __global const float *shift, __global const float *residual,
                        __global float *y, int N, int H, int Wd, int C, int XS, int P, int Q, int YS, int S, int STR,
                        int DIL, int PAD, int DIV, int flags, int step, int tap_step, int4 rows0, int4 rows1, int4 rows2,
                        int4 columns0, int4 columns1, int4 columns2) {
    LOCAL_MEMORY
    const int item = (int)get_local_id(0);

    int4 rows = rows0, columns = columns0;
    int place = 0;
    for (int region = 0, tile = (int)get_group_id(0); region < 9; ++region) {
        const int4 r = region < 3 ? rows0 : region < 6 ? rows1 : rows2;
        const int4 c = region % 3 == 0 ? columns0 : region % 3 == 1 ? columns1 : columns2;
        const int tiles = (N * r.y * c.y + TM - 1) / TM;
        if (tile >= 0 && tile < tiles) {
            rows = r;
            columns = c;
            place = tile * TM;
        }
        tile -= tiles;
    }
    const int pixels = N * rows.y * columns.y, column0 = (int)get_group_id(1) * TN;

    // What this item loads: pixels, moved by the padding, and where they are in x for the current tap, or -1.
    int image[LEFT], above[LEFT], left[LEFT], source[LEFT];
    UNROLL for (int v = 0; v < LEFT; ++v) {
        const int pixel = place + (item + v * ITEMS) / (TK / 4), live = pixel < pixels;
        image[v] = pixel / (rows.y * columns.y);
        above[v] = live ? (rows.x + step * (pixel / columns.y % rows.y)) * STR - PAD : -(1 << 28);
        left[v] = (columns.x + step * (pixel % columns.y)) * STR - PAD;
        source[v] = -1;
    }

    float4 sums[RM][RN / 4];
    clear(sums);

    const int chunks = (C + TK - 1) / TK, steps = rows.w * columns.w * chunks;
    int tap = 0, channel0 = 0, row_tap = rows.z, column_tap = columns.z;
    for (int number = -1; number < steps; ++number) {
        float4 next_left[LEFT], next_right[RIGHT];
        if (number + 1 < steps) {
            if (channel0 == 0) {
                tap = row_tap * S + column_tap;
                UNROLL for (int v = 0; v < LEFT; ++v) {
                    const int h = above[v] + row_tap * DIL, q = ROW ? 0 : left[v] + column_tap * DIL;
                    const int inside = h >= 0 && q >= 0 && h % DIV == 0 && q % DIV == 0 && h / DIV < H && q / DIV < Wd;
                    source[v] = inside ? (image[v] * H + h / DIV) * Wd + q / DIV : -1;
                }
            }
            UNROLL for (int v = 0; v < LEFT; ++v) {
                const int c = channel0 + (item + v * ITEMS) % (TK / 4) * 4;
                next_left[v] = (float4)(0.0f);
                if (source[v] >= 0) {
                    __global const float *from = x + (size_t)source[v] * XS;
                    next_left[v] = ROW ? some_row(from, left[v], c, C, Wd) : some_channels(from, c, C);
                }
            }
            UNROLL for (int v = 0; v < RIGHT; ++v) {
                const int c = channel0 + (item + v * ITEMS) / (TN / 4), k = column0 + (item + v * ITEMS) % (TN / 4) * 4;
                next_right[v] = c < C && k < YS ? aligned(w + ((size_t)tap * C + c) * YS + k) : (float4)(0.0f);
            }
            channel0 += TK;
            if (channel0 >= C) {
                channel0 = 0;
                column_tap += tap_step;
                if (column_tap >= columns.z + tap_step * columns.w) {
                    column_tap = columns.z;
                    row_tap += tap_step;
                }
            }
        }
        if (number >= 0) multiply(a[number & 1], b[number & 1], item, sums, registers);
        if (number + 1 < steps) {
            store_transposed(a[(number + 1) & 1], item, next_left);
            store_right(b[(number + 1) & 1], item, next_right);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    UNROLL for (int k = 0; k < RM; ++k) {
        const int pixel = place + tile_row(item, k);
        if (pixel >= pixels) continue;
        const int n = pixel / (rows.y * columns.y);
        const int p = rows.x + step * (pixel / columns.y % rows.y), q = columns.x + step * (pixel % columns.y);
        UNROLL for (int u = 0; u < RN / 4; ++u) {
            const int column = column0 + tile_column(item, u);
            if (column >= YS) continue;
            const size_t o = (((size_t)n * P + p) * Q + q) * YS + column;
            const float4 start = flags & HAS_BIAS ? aligned(bias + column) : (float4)(0.0f);
            const float4 sum = epilogue(sums[k][u] + start, scale + column, shift + column, residual + o, flags);
            *(__global float4 *)(y + o) = sum;
        }
    }
}

// Layout: groups (tiles of columns, tiles of rows, taps x splits).
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void convolution_weights(__global const float *restrict x, __global const float *restrict dy,
                         __global float *restrict dw, int N, int H, int Wd, int C, int XS, int P, int Q, int KS, int R,
                         int S, int STR, int DIL, int PAD, int splits) {
    LOCAL_MEMORY
    const int item = (int)get_local_id(0);
    const int column0 = (int)get_group_id(0) * TN, channel0 = (int)get_group_id(1) * TM;
    const int tap = (int)get_group_id(2) % (R * S), split = (int)get_group_id(2) / (R * S);

    // Pixels whose tap is inside: those from `first` to before `last` along each axis.
    const int down = tap / S * DIL - PAD, right = tap % S * DIL - PAD;
    const int p0 = down < 0 ? (STR - 1 - down) / STR : 0, p1 = min(P, (H - 1 - down + STR) / STR);
    const int q0 = ROW || right >= 0 ? 0 : (STR - 1 - right) / STR, q1 = ROW ? Q : min(Q, (Wd - 1 - right + STR) / STR);
    const int rows = H - 1 < down ? 0 : max(0, p1 - p0), columns = !ROW && Wd - 1 < right ? 0 : max(0, q1 - q0);
    const int pixels = N * rows * columns, span = ((pixels + splits - 1) / splits + 15) / 16 * 16;
    const int begin = split * span, end = min(pixels, begin + span);

    float4 sums[RM][RN / 4];
    clear(sums);

    const int steps = max(0, (end - begin + TK - 1) / TK);
    for (int number = -1; number < steps; ++number) {
        float4 next_left[LEFT], next_right[RIGHT];
        if (number + 1 < steps) {
            UNROLL for (int v = 0; v < LEFT; ++v) {
                const int at = item + v * ITEMS, pixel = begin + (number + 1) * TK + at / (TM / 4);
                next_left[v] = (float4)(0.0f);
                if (pixel < end) {
                    const int n = pixel / (rows * columns), p = p0 + pixel / columns % rows, q = q0 + pixel % columns;
                    const int c = channel0 + at % (TM / 4) * 4;
                    __global const float *row = x + ((size_t)n * H + p * STR + down) * Wd * XS;
                    next_left[v] = ROW ? some_row(row, q * STR - PAD, c, C, Wd)
                                       : some_channels(row + (q * STR + right) * XS, c, C);
                }
            }
            UNROLL for (int v = 0; v < RIGHT; ++v) {
                const int at = item + v * ITEMS, pixel = begin + (number + 1) * TK + at / (TN / 4);
                const int k = column0 + at % (TN / 4) * 4;
                next_right[v] = (float4)(0.0f);
                if (pixel < end && k < KS) {
                    const int n = pixel / (rows * columns), p = p0 + pixel / columns % rows, q = q0 + pixel % columns;
                    next_right[v] = aligned(dy + (((size_t)n * P + p) * Q + q) * KS + k);
                }
            }
        }
        if (number >= 0) multiply(a[number & 1], b[number & 1], item, sums, registers);
        if (number + 1 < steps) {
            store_left(a[(number + 1) & 1], item, next_left);
            store_right(b[(number + 1) & 1], item, next_right);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    store_sums(dw + ((size_t)split * R * S + tap) * C * KS, C, KS, channel0, column0, item, sums, 0);
}

// Of U and Z: row d of a block of 32 columns, `depth` rows deep.
INLINE float4 blocked(__global const float *p, int depth, int d, int column) {
    return aligned(p + ((size_t)(column / 32) * depth + d) * 32 + column % 32);
}

// M[e][t][k] = sum_c V[e][t][c] U[e][c][k]
// Layout: groups (tiles of T, tiles of KS, places).
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void winograd_products(__global float *scratch, int v_at, int u_at, int m_at, int C, int KS, int T, int v_stride,
                       int u_stride, int m_stride) {
    LOCAL_MEMORY
    const int item = (int)get_local_id(0);
    const int row0 = (int)get_group_id(0) * TM, column0 = (int)get_group_id(1) * TN, e = (int)get_group_id(2);
    __global const float *left = scratch + v_at + (size_t)e * v_stride, *right = scratch + u_at + (size_t)e * u_stride;
    float4 sums[RM][RN / 4];
    clear(sums);
    const int steps = (C + TK - 1) / TK;
    for (int number = -1; number < steps; ++number) {
        float4 next_left[LEFT], next_right[RIGHT];
        if (number + 1 < steps) {
            UNROLL for (int v = 0; v < LEFT; ++v) {
                const int t = row0 + (item + v * ITEMS) / (TK / 4), c = (number + 1) * TK + (item + v * ITEMS) % (TK / 4) * 4;
                // From tile to tile of V, as in convolution_winograd.cl.
                next_left[v] = t < T && c < C ? aligned(left + (size_t)t * (C + 16) + c) : (float4)(0.0f);
            }
            UNROLL for (int v = 0; v < RIGHT; ++v) {
                const int c = (number + 1) * TK + (item + v * ITEMS) / (TN / 4);
                const int k = column0 + (item + v * ITEMS) % (TN / 4) * 4;
                next_right[v] = c < C && k < KS ? blocked(right, C, c, k) : (float4)(0.0f);
            }
        }
        if (number >= 0) multiply(a[number & 1], b[number & 1], item, sums, registers);
        if (number + 1 < steps) {
            store_transposed(a[(number + 1) & 1], item, next_left);
            store_right(b[(number + 1) & 1], item, next_right);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
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
    for (int number = -1; number < steps; ++number) {
        float4 next_left[LEFT], next_right[RIGHT];
        if (number + 1 < steps) {
            UNROLL for (int v = 0; v < LEFT; ++v) {
                const int at = item + v * ITEMS, t = (number + 1) * TK + at / (TM / 4), c = row0 + at % (TM / 4) * 4;
                next_left[v] = t < T && c < C ? aligned(left + ((size_t)(c / 8) * T + t) * 8 + c % 8) : (float4)(0.0f);
            }
            UNROLL for (int v = 0; v < RIGHT; ++v) {
                const int at = item + v * ITEMS, t = (number + 1) * TK + at / (TN / 4), k = column0 + at % (TN / 4) * 4;
                next_right[v] = t < T && k < K ? blocked(right, T, t, k) : (float4)(0.0f);
            }
        }
        if (number >= 0) multiply(a[number & 1], b[number & 1], item, sums, registers);
        if (number + 1 < steps) {
            store_left(a[(number + 1) & 1], item, next_left);
            store_right(b[(number + 1) & 1], item, next_right);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    store_sums(scratch + u_at + (size_t)e * u_stride, C, K, row0, column0, item, sums, accumulate);
}
