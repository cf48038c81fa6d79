// PNG files in memory, read and written by libpng; its errors and warnings come back as text and never reach a
// terminal.
#ifndef ADASHARE_CPNG_H
#define ADASHARE_CPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What the pixels are; the numbers are those of the PNG specification.
typedef enum {
    ADASHARE_PNG_GREY = 0,
    ADASHARE_PNG_RGB = 2,
    ADASHARE_PNG_PALETTE = 3,
    ADASHARE_PNG_GREY_ALPHA = 4,
    ADASHARE_PNG_RGBA = 6,
} adashare_png_color;

/// What stands before the pixels of a file.
typedef struct {
    uint32_t width, height;
    /// Bytes that deflate must yield for one row, without its filter.
    size_t row_bytes;
    /// Bits of one sample, or of one palette index.
    int bit_depth;
    adashare_png_color color;
    /// Whether there is a tRNS chunk.
    bool has_transparency;
} adashare_png_header;

/// What libpng had against a file: one line, null-terminated.
typedef struct {
    char text[256];
} adashare_png_message;

/// A file in memory; `adashare_png_free` gives it back.
typedef struct {
    uint8_t *bytes;
    size_t count, capacity;
} adashare_png_data;

/// Whether the bytes begin with the signature of a PNG file.
bool adashare_png_has_signature(const uint8_t *bytes, size_t count);

/// Reads up to the first IDAT chunk; no size is too large for it, because memory is asked for none of the pixels.
///
/// Returns false with a message if libpng refuses the file.
bool adashare_png_read_header(
    const uint8_t *bytes, size_t count, adashare_png_header *header, adashare_png_message *message);

/// What pixels are read as.
typedef enum {
    /// One byte per sample or palette index, two for samples of 16 bits, unconverted.
    ADASHARE_PNG_AS_STORED,
    /// R,G,B of 8 bits whatever is stored: colours of a palette, grey three times, 16 bits rounded, no alpha.
    ADASHARE_PNG_AS_RGB,
    /// The same with alpha of 8 bits behind them: 255 where a file has none.
    ADASHARE_PNG_AS_RGBA,
} adashare_png_form;

/// Reads a whole file, to the end of its IEND chunk, and its pixels.
///
/// `size` must be what libpng counts: height · width · 3 as RGB, · 4 as RGBA, height · width · channels as stored with
/// up to 8 bits, with one channel for a palette. Returns false with a message if it is another, or if libpng refuses
/// the file or warns of it; the pixels are worthless then.
bool adashare_png_read_pixels(
    const uint8_t *bytes, size_t count, adashare_png_form form, uint8_t *pixels, size_t size,
    adashare_png_message *message);

/// Makes an sRGB file of `width` · `height` grey values of 8 or 16 bits, the higher byte first, of R,G,B of 8 bits, or
/// of indices of 8 bits into a palette of `colors` R,G,B, all of which must be below that.
///
/// Returns false with a message if that is impossible; else `file` must be freed.
bool adashare_png_write(
    uint32_t width, uint32_t height, adashare_png_color color, int bit_depth, const uint8_t *palette, int colors,
    const uint8_t *pixels, adashare_png_data *file, adashare_png_message *message);

/// Frees what `adashare_png_write` made.
void adashare_png_free(adashare_png_data *file);

#endif
