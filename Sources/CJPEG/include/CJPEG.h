// JPEG files in memory, read by libjpeg; its errors and warnings come back as text and never reach a terminal.
#ifndef ADASHARE_CJPEG_H
#define ADASHARE_CJPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What the samples are, however they are stored.
typedef enum {
    ADASHARE_JPEG_GREY,
    /// R,G,B, or Y,Cb,Cr.
    ADASHARE_JPEG_RGB,
    /// C,M,Y,K, or Y,Cb,Cr,K.
    ADASHARE_JPEG_CMYK,
    ADASHARE_JPEG_OTHER,
} adashare_jpeg_color;

/// What stands before the pixels of a file.
typedef struct {
    uint32_t width, height;
    /// Bits of one sample.
    int bit_depth;
    adashare_jpeg_color color;
    /// Whether entropy coding is arithmetic, not Huffman's.
    bool is_arithmetic;
} adashare_jpeg_header;

/// What libjpeg had against a file: one line, null-terminated.
typedef struct {
    char text[256];
} adashare_jpeg_message;

/// Whether the bytes begin as every JPEG file does.
bool adashare_jpeg_has_signature(const uint8_t *bytes, size_t count);

/// Reads up to the first scan; memory is asked for none of the pixels.
///
/// Returns false with a message if libjpeg refuses the file, but for samples that it has not been built for: their
/// `bit_depth` says so.
bool adashare_jpeg_read_header(
    const uint8_t *bytes, size_t count, adashare_jpeg_header *header, adashare_jpeg_message *message);

/// Reads a whole file, to its end marker, as R,G,B of 8 bits, rows from the top as they are stored.
///
/// `size` must be what libjpeg counts, height · width · 3. Returns false with a message if it is another, or if libjpeg
/// refuses the file or warns of it; the pixels are worthless then.
bool adashare_jpeg_read_pixels(
    const uint8_t *bytes, size_t count, uint8_t *pixels, size_t size, adashare_jpeg_message *message);

#endif
