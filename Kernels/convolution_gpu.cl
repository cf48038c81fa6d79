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
// Tunables: TM, TN, TK, RM, RN as above; group size TM TN / (RM RN). ROW: 0, or the channels of a compact image whose
// kernel rows are taken as one tap (their pixels lie side by side; S = 1, C = taps x channels).
// Local memory: 8 TK (TM + 4 + TN) bytes.
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
#define TI (TM / RM)
#define TJ (TN / RN)
#define ITEMS (TI * TJ)
// From depth to depth of the left side: transposing stores of neighbours fall on different banks.
#define PITCH (TM + 4)
// Vectors that an item loads each step.
#define LEFT (TM * TK / 4 / ITEMS)
#define RIGHT (TN * TK / 4 / ITEMS)
#define UNROLL __attribute__((opencl_unroll_hint))

// Rows and channels are padded to 16 floats, tiles to 4: whole vectors.
static inline float4 aligned(__global const float *p) { return *(__global const float4 *)p; }
static inline float4 aligned_local(__local const float *p) { return *(__local const float4 *)p; }

static inline void multiply(__local const float *a, __local const float *b, int i, int j, float4 sums[RM][RN / 4]) {
    UNROLL for (int d = 0; d < TK; ++d) {
        float4 left[RM / 4], right[RN / 4];
        UNROLL for (int v = 0; v < RM / 4; ++v) left[v] = aligned_local(a + d * PITCH + 4 * (i + v * TI));
        UNROLL for (int u = 0; u < RN / 4; ++u) right[u] = aligned_local(b + d * TN + 4 * (j + u * TJ));
        UNROLL for (int v = 0; v < RM / 4; ++v)
            UNROLL for (int u = 0; u < RN / 4; ++u) {
                sums[4 * v + 0][u] = fma((float4)(left[v].x), right[u], sums[4 * v + 0][u]);
                sums[4 * v + 1][u] = fma((float4)(left[v].y), right[u], sums[4 * v + 1][u]);
                sums[4 * v + 2][u] = fma((float4)(left[v].z), right[u], sums[4 * v + 2][u]);
                sums[4 * v + 3][u] = fma((float4)(left[v].w), right[u], sums[4 * v + 3][u]);
            }
    }
}

// What an item has loaded, into a buffer: the left side row by row, its values being neighbours in depth; or as it is, values
// being neighbours in rows; and the right side, whose values are neighbours in columns.
static inline void store_transposed(__local float *a, int item, const float4 values[LEFT]) {
    UNROLL for (int v = 0; v < LEFT; ++v) {
        const int row = (item + v * ITEMS) / (TK / 4), d = (item + v * ITEMS) % (TK / 4) * 4;
        a[(d + 0) * PITCH + row] = values[v].x;
        a[(d + 1) * PITCH + row] = values[v].y;
        a[(d + 2) * PITCH + row] = values[v].z;
        a[(d + 3) * PITCH + row] = values[v].w;
    }
}
static inline void store_left(__local float *a, int item, const float4 values[LEFT]) {
    UNROLL for (int v = 0; v < LEFT; ++v) {
        const int at = item + v * ITEMS;
        *(__local float4 *)(a + at / (TM / 4) * PITCH + at % (TM / 4) * 4) = values[v];
    }
}
static inline void store_right(__local float *b, int item, const float4 values[RIGHT]) {
    UNROLL for (int v = 0; v < RIGHT; ++v) *(__local float4 *)(b + (item + v * ITEMS) * 4) = values[v];
}

static inline void clear(float4 sums[RM][RN / 4]) {
    UNROLL for (int k = 0; k < RM; ++k) UNROLL for (int u = 0; u < RN / 4; ++u) sums[k][u] = (float4)(0.0f);
}

// An item's part of the tile at (row0, column0) of a matrix; added to what is there, or in its place.
static inline void store_sums(__global float *matrix, int rows, int columns, int row0, int column0, int i, int j,
                              const float4 sums[RM][RN / 4], int accumulate) {
    UNROLL for (int k = 0; k < RM; ++k) {
        const int row = row0 + 4 * (i + k / 4 * TI) + k % 4;
        if (row >= rows) continue;
        UNROLL for (int u = 0; u < RN / 4; ++u) {
            const int column = column0 + 4 * (j + u * TJ);
            if (column >= columns) continue;
            __global float4 *to = (__global float4 *)(matrix + (size_t)row * columns + column);
            *to = accumulate ? *to + sums[k][u] : sums[k][u];
        }
    }
}

// Four consecutive values of a pixel from c on; zero past `count` (compact tensors end mid-vector).
static inline float4 some_channels(__global const float *p, int c, int count) {
    if (c + 4 <= count) return vload4(0, p + c);
    return (float4)(c < count ? p[c] : 0.0f, c + 1 < count ? p[c + 1] : 0.0f, c + 2 < count ? p[c + 2] : 0.0f, 0.0f);
}

// Four consecutive values of a kernel row from c on, in an image row of Wd pixels whose pixel `left` the row begins at.
static inline float row_value(__global const float *image_row, int left, int c, int count, int Wd) {
#if ROW
    const int column = left + c / ROW;
    return c < count && column >= 0 && column < Wd ? image_row[left * ROW + c] : 0.0f;
#else
    return 0.0f;
#endif
}
static inline float4 some_row(__global const float *image_row, int left, int c, int count, int Wd) {
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
    __local float a[2][TK * PITCH] __attribute__((aligned(16)));
    __local float b[2][TK * TN] __attribute__((aligned(16)));
    const int item = (int)get_local_id(0), i = item / TJ, j = item % TJ;

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
        if (number >= 0) multiply(a[number & 1], b[number & 1], i, j, sums);
        if (number + 1 < steps) {
            store_transposed(a[(number + 1) & 1], item, next_left);
            store_right(b[(number + 1) & 1], item, next_right);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    UNROLL for (int k = 0; k < RM; ++k) {
        const int pixel = place + 4 * (i + k / 4 * TI) + k % 4;
        if (pixel >= pixels) continue;
        const int n = pixel / (rows.y * columns.y);
        const int p = rows.x + step * (pixel / columns.y % rows.y), q = columns.x + step * (pixel % columns.y);
        UNROLL for (int u = 0; u < RN / 4; ++u) {
            const int column = column0 + 4 * (j + u * TJ);
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
    __local float a[2][TK * PITCH] __attribute__((aligned(16)));
    __local float b[2][TK * TN] __attribute__((aligned(16)));
    const int item = (int)get_local_id(0), i = item / TJ, j = item % TJ;
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
        if (number >= 0) multiply(a[number & 1], b[number & 1], i, j, sums);
        if (number + 1 < steps) {
            store_left(a[(number + 1) & 1], item, next_left);
            store_right(b[(number + 1) & 1], item, next_right);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    store_sums(dw + ((size_t)split * R * S + tap) * C * KS, C, KS, channel0, column0, i, j, sums, 0);
}

// Of U and Z: row d of a block of 32 columns, `depth` rows deep.
static inline float4 blocked(__global const float *p, int depth, int d, int column) {
    return aligned(p + ((size_t)(column / 32) * depth + d) * 32 + column % 32);
}

// M[e][t][k] = sum_c V[e][t][c] U[e][c][k]
// Layout: groups (tiles of T, tiles of KS, places).
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void winograd_products(__global float *scratch, int v_at, int u_at, int m_at, int C, int KS, int T, int v_stride,
                       int u_stride, int m_stride) {
    __local float a[2][TK * PITCH] __attribute__((aligned(16)));
    __local float b[2][TK * TN] __attribute__((aligned(16)));
    const int item = (int)get_local_id(0), i = item / TJ, j = item % TJ;
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
        if (number >= 0) multiply(a[number & 1], b[number & 1], i, j, sums);
        if (number + 1 < steps) {
            store_transposed(a[(number + 1) & 1], item, next_left);
            store_right(b[(number + 1) & 1], item, next_right);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    store_sums(scratch + m_at + (size_t)e * m_stride, T, KS, row0, column0, i, j, sums, 0);
}

// U[e][c][k] = sum_t V[e][t][c] Z[e][t][k] for C input channels, added to U but for the first chunk of tiles
// Layout: groups (tiles of K, tiles of C, places).
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void winograd_weight_products(__global float *scratch, int v_at, int z_at, int u_at, int C, int K, int T, int v_stride,
                              int z_stride, int u_stride, int accumulate) {
    __local float a[2][TK * PITCH] __attribute__((aligned(16)));
    __local float b[2][TK * TN] __attribute__((aligned(16)));
    const int item = (int)get_local_id(0), i = item / TJ, j = item % TJ;
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
        if (number >= 0) multiply(a[number & 1], b[number & 1], i, j, sums);
        if (number + 1 < steps) {
            store_left(a[(number + 1) & 1], item, next_left);
            store_right(b[(number + 1) & 1], item, next_right);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    store_sums(scratch + u_at + (size_t)e * u_stride, C, K, row0, column0, i, j, sums, accumulate);
}
