// Convolution for GPUs: implicit matrix products through local memory. Formulas as in convolution_cpu.cl.
//
//   convolution_gather   rows = output pixels, columns = output channels, depth = taps x input channels
//   convolution_weights  rows = input channels of one tap, columns = output channels, depth = output pixels
//
// Tiles and their steps are those of tile.h.
//
// convolution_gather cuts the output in up to 3 x 3 regions in which the same taps count, so that a tile multiplies no
// padding: the thirds of a dilated convolution (before its first tap is inside the image, after its last one is not),
// or the parities of a strided one's input gradient. Along an axis a region has pixels start + step i, i < count, and
// taps first + tap_step t, t < taps, given as (start, count, first, taps). A tile lies in one region, across the batch.
//
// convolution_weights sums over those pixels of which its tap reads the inside of the image; split s of `splits` takes
// the s-th part of them, the same for every tile.
//
// Tunables: those of tile.h. COMPACT: x is stored without channel padding. ROW: 0, or the channels of such an x whose
// kernel rows are taken as one tap (their pixels lie side by side; S = 1, C = taps x channels). DIVISOR: what DIV is.
// PLAIN: nothing follows the sum, as in training. X16, Y16: x, and y or dy, are bfloat16 in global memory; only with
// OPERAND16. Weights [R][S][C][YS], with stored output channels, in
// float32, or with OPERAND16 in bfloat16.

#include "tile.h"

#ifndef ROW
#define ROW 0
#endif
#ifndef COMPACT
#define COMPACT 0
#endif
#ifndef PLAIN
#define PLAIN 0
#endif
#ifndef DIVISOR
#define DIVISOR DIV
#endif
#ifndef X16
#define X16 0
#define Y16 0
#endif
// Whether x, or dy, is brought as it lies in memory.
#define RAW_X (X16 == OPERAND16 && !ROW && !COMPACT)
#define RAW_Y (Y16 == OPERAND16)
#if X16
typedef ushort x_value;
#else
typedef float x_value;
#endif
#if Y16
typedef ushort y_value;
#define READ_Y read_columns16
#define WRITE_Y write_columns16
#else
typedef float y_value;
#define READ_Y read_columns
#define WRITE_Y write_columns
#endif

#if ROW
// Four consecutive values of a kernel row from c on, in an image row of Wd pixels whose pixel `left` the row begins at.
INLINE float row_value(__global const float *image_row, int left, int c, int count, int Wd) {
    const int column = left + c / ROW;
    return c < count && column >= 0 && column < Wd ? image_row[left * ROW + c] : 0.0f;
}
INLINE float4 some_values(__global const float *image_row, int left, int c, int count, int Wd) {
    return (float4)(row_value(image_row, left, c, count, Wd), row_value(image_row, left, c + 1, count, Wd),
                    row_value(image_row, left, c + 2, count, Wd), row_value(image_row, left, c + 3, count, Wd));
}
#else
// Four consecutive values of a pixel from c on; zero past `count`, where pads are zeros and compact pixels end
// mid-vector.
INLINE float4 some_values(__global const float *p, int left, int c, int count, int Wd) {
#if COMPACT
    if (c + 4 <= count) return vload4(0, p + c);
    return (float4)(c < count ? p[c] : 0.0f, c + 1 < count ? p[c + 1] : 0.0f, c + 2 < count ? p[c + 2] : 0.0f, 0.0f);
#else
    return c < count ? aligned(p + c) : (float4)(0.0f);
#endif
}
#endif

// Brings a piece of x from channel c of `from` on, or of a kernel row there.
#if RAW_X
#define BRING_X(held, place, from, left, c, live) BRING_RAW(held, place, (from) + (c), (live) && (c) < C)
#else
#define X_VALUES(o) some_values(from, left, c + (o), C, Wd)
INLINE piece x_piece(__global const float *from, int left, int c, int C, int Wd) { return PIECE_OF(X_VALUES); }
#define BRING_X(held, place, from, left, c, live) \
    BRING(held, place, (live) ? x_piece(from, left, c, C, Wd) : (piece)(0))
#endif
#if RAW_Y
#define BRING_Y(held, place, from, live) BRING_RAW(held, place, from, live)
#else
#define Y_VALUES(o) aligned(from + (o))
INLINE piece y_piece(__global const float *from) { return PIECE_OF(Y_VALUES); }
#define BRING_Y(held, place, from, live) BRING(held, place, (live) ? y_piece(from) : (piece)(0))
#endif

// Layout: groups (tiles of all regions, tiles of columns).
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void convolution_gather(__global const x_value *restrict x, __global const operand_value *restrict w,
                        __global const float *bias, __global const float *scale, __global const float *shift,
                        __global const y_value *residual, __global y_value *y, int N, int H, int Wd, int C, int XS,
                        int P, int Q, int YS, int S, int STR, int DIL, int PAD, int DIV, int flags, int step,
                        int tap_step, int4 rows0, int4 rows1, int4 rows2, int4 columns0, int4 columns1,
                        int4 columns2) {
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
        const int pixel = place + (item + v * ITEMS) / (TK / PIECE), live = pixel < pixels;
        image[v] = pixel / (rows.y * columns.y);
        above[v] = live ? (rows.x + step * (pixel / columns.y % rows.y)) * STR - PAD : -(1 << 28);
        left[v] = (columns.x + step * (pixel % columns.y)) * STR - PAD;
        source[v] = -1;
    }

    float4 sums[RM][RN / 4];
    clear(sums);

    const int chunks = (C + TK - 1) / TK, steps = rows.w * columns.w * chunks;
    int tap = 0, channel0 = 0, row_tap = rows.z, column_tap = columns.z;
    for (int number = 1 - STAGES; number < steps; ++number) {
        const int next = number + STAGES - 1;
        piece next_left[LEFT], next_right[RIGHT];
        if (next < steps) {
            if (channel0 == 0) {
                tap = row_tap * S + column_tap;
                UNROLL for (int v = 0; v < LEFT; ++v) {
                    const int h = above[v] + row_tap * DIL, q = (1 - (ROW > 0)) * (left[v] + column_tap * DIL);
                    const int inside = h >= 0 && q >= 0 && h % DIVISOR == 0 && q % DIVISOR == 0 && h / DIVISOR < H &&
                                       q / DIVISOR < Wd;
                    source[v] = inside ? (image[v] * H + h / DIVISOR) * Wd + q / DIVISOR : -1;
                }
            }
            UNROLL for (int v = 0; v < LEFT; ++v) {
                const int c = channel0 + (item + v * ITEMS) % (TK / PIECE) * PIECE;
                BRING_X(next_left[v], deep_place(a[next % STAGES], item, v), x + (size_t)max(0, source[v]) * XS,
                        left[v], c, source[v] >= 0);
            }
            UNROLL for (int v = 0; v < RIGHT; ++v) {
                const int at = item + v * ITEMS;
                const int c = channel0 + at / (TN / PIECE), k = column0 + at % (TN / PIECE) * PIECE;
                BRING_RAW(next_right[v], right_place(b[next % STAGES], item, v), w + ((size_t)tap * C + c) * YS + k,
                          c < C && k < YS);
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
        MULTIPLY_STEP(1, RAW_X, 1)
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
            float4 sum = sums[k][u];
            if (!PLAIN) {
                if (flags & HAS_BIAS) sum += read_columns(bias + column);
                EPILOGUE(sum, scale + column, shift + column, residual + o, flags, read_columns, READ_Y)
            }
            WRITE_Y(sum, y + o);
        }
    }
}

// Where a pixel of dy is, among those whose tap is inside: image, row, column, and its number.
INLINE int4 pixel_at(int number, int rows, int columns) {
    return (int4)(number / max(1, rows * columns), number / max(1, columns) % max(1, rows), number % max(1, columns),
                  number);
}
// The same, `by` pixels on.
INLINE int4 moved(int4 at, int4 by, int rows, int columns) {
    at += by;
    if (at.z >= columns) at += (int4)(0, 1, -columns, 0);
    if (at.y >= rows) at += (int4)(1, -rows, 0, 0);
    return at;
}

// Layout: groups (tiles of columns, tiles of rows, taps x splits).
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void convolution_weights(__global const x_value *restrict x, __global const y_value *restrict dy,
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

    // Pixels that this item brings next.
    int4 left_at[LEFT], right_at[RIGHT];
    const int4 by = pixel_at(TK, rows, columns);
    UNROLL for (int v = 0; v < LEFT; ++v)
        left_at[v] = pixel_at(begin + (item + v * ITEMS) / (TM / PIECE), rows, columns);
    UNROLL for (int v = 0; v < RIGHT; ++v)
        right_at[v] = pixel_at(begin + (item + v * ITEMS) / (TN / PIECE), rows, columns);

    const int steps = max(0, (end - begin + TK - 1) / TK);
    for (int number = 1 - STAGES; number < steps; ++number) {
        const int next = number + STAGES - 1;
        piece next_left[LEFT], next_right[RIGHT];
        if (next < steps) {
            UNROLL for (int v = 0; v < LEFT; ++v) {
                const int4 at = left_at[v];
                const int c = channel0 + (item + v * ITEMS) % (TM / PIECE) * PIECE, live = at.w < end;
                const int h = (p0 + at.y) * STR + down, q = ROW ? 0 : (q0 + at.z) * STR + right;
                BRING_X(next_left[v], left_place(a[next % STAGES], item, v),
                        x + (live ? ((size_t)(at.x * H + h) * Wd + q) * XS : 0), at.z * STR - PAD, c, live);
                left_at[v] = moved(at, by, rows, columns);
            }
            UNROLL for (int v = 0; v < RIGHT; ++v) {
                const int4 at = right_at[v];
                const int k = column0 + (item + v * ITEMS) % (TN / PIECE) * PIECE, live = at.w < end && k < KS;
                BRING_Y(next_right[v], right_place(b[next % STAGES], item, v),
                        dy + (live ? ((size_t)(at.x * P + p0 + at.y) * Q + q0 + at.z) * KS + k : 0), live);
                right_at[v] = moved(at, by, rows, columns);
            }
        }
        MULTIPLY_STEP(0, RAW_X, RAW_Y)
    }

    store_sums(dw + ((size_t)split * R * S + tap) * C * KS, C, KS, channel0, column0, item, sums, 0);
}
