#include "CPNG.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(
    ADASHARE_PNG_GREY == PNG_COLOR_TYPE_GRAY && ADASHARE_PNG_RGB == PNG_COLOR_TYPE_RGB &&
        ADASHARE_PNG_PALETTE == PNG_COLOR_TYPE_PALETTE && ADASHARE_PNG_GREY_ALPHA == PNG_COLOR_TYPE_GRAY_ALPHA &&
        ADASHARE_PNG_RGBA == PNG_COLOR_TYPE_RGBA,
    "the colour types are libpng's");

// The first complaint stays: a warning says what is wrong, the error that follows only that something is.
static void keep_first(adashare_png_message *message, const char *text) {
    if (message->text[0] == '\0') snprintf(message->text, sizeof message->text, "%s", text);
}

static void on_error(png_structp png, png_const_charp text) {
    keep_first(png_get_error_ptr(png), text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    keep_first(png_get_error_ptr(png), text);
}

// MARK: - Reading

typedef struct {
    const uint8_t *bytes;
    size_t count, position;
} source;

static void take(png_structp png, png_bytep target, size_t count) {
    source *from = png_get_io_ptr(png);
    if (count > from->count - from->position) {
        char text[64];
        snprintf(text, sizeof text, "it ends at byte %zu before its IEND chunk", from->count);
        png_error(png, text);
    }
    memcpy(target, from->bytes + from->position, count);
    from->position += count;
}

static bool open_reader(png_structp *png, png_infop *info, source *from, adashare_png_message *message) {
    message->text[0] = '\0';
    *info = NULL;
    *png = png_create_read_struct(PNG_LIBPNG_VER_STRING, message, on_error, on_warning);
    if (*png != NULL) *info = png_create_info_struct(*png);
    if (*info == NULL) {
        keep_first(message, "out of memory");
        png_destroy_read_struct(png, NULL, NULL);
        return false;
    }
    png_set_read_fn(*png, from, take);
    return true;
}

static void read_info(png_structp png, png_infop info) {
    // The caller decides which sizes are too large; a chunk that is left out may be of any length.
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(png, 0);
    // Left out are all but IHDR, PLTE, tRNS, IDAT and IEND: profiles, texts and times are often odd and never of use
    // here.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
#ifdef PNG_IGNORE_ADLER32
    // Every chunk's CRC has vouched for the packed bytes; to sum the unpacked ones too takes a twentieth of the time.
    png_set_option(png, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
#endif
    // Indices are labels here: one without a colour, such as 255 for no class, is as good as any.
    png_set_check_for_invalid_index(png, 0);
    png_read_info(png, info);
}

bool adashare_png_has_signature(const uint8_t *bytes, size_t count) {
    return count >= 8 && png_sig_cmp(bytes, 0, 8) == 0;
}

bool adashare_png_read_header(
    const uint8_t *bytes, size_t count, adashare_png_header *header, adashare_png_message *message) {
    source from = {bytes, count, 0};
    png_structp png;
    png_infop info;
    if (!open_reader(&png, &info, &from, message)) return false;
    if (setjmp(png_jmpbuf(png)) != 0) {
        png_destroy_read_struct(&png, &info, NULL);
        return false;
    }
    read_info(png, info);
    *header = (adashare_png_header){
        .width = png_get_image_width(png, info),
        .height = png_get_image_height(png, info),
        .row_bytes = png_get_rowbytes(png, info),
        .bit_depth = png_get_bit_depth(png, info),
        .color = (adashare_png_color)png_get_color_type(png, info),
        .has_transparency = png_get_valid(png, info, PNG_INFO_tRNS) != 0,
    };
    png_destroy_read_struct(&png, &info, NULL);
    return true;
}

bool adashare_png_read_pixels(
    const uint8_t *bytes, size_t count, adashare_png_form form, uint8_t *pixels, size_t size,
    adashare_png_message *message) {
    source from = {bytes, count, 0};
    png_structp png;
    png_infop info;
    if (!open_reader(&png, &info, &from, message)) return false;
    if (setjmp(png_jmpbuf(png)) != 0) {
        png_destroy_read_struct(&png, &info, NULL);
        return false;
    }
    read_info(png, info);
    if (form == ADASHARE_PNG_AS_RGB) {
        png_set_scale_16(png);
        // Grey of fewer bits and palettes become whole bytes.
        png_set_expand(png);
        png_set_gray_to_rgb(png);
        png_set_strip_alpha(png);
    } else if (form == ADASHARE_PNG_AS_RGBA) {
        png_set_scale_16(png);
        // Transparent colours become alpha.
        png_set_expand(png);
        png_set_gray_to_rgb(png);
        png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
    } else {
        png_set_packing(png);
    }
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    const size_t height = png_get_image_height(png, info), row = png_get_rowbytes(png, info);
    size_t needed;
    if (__builtin_mul_overflow(height, row, &needed) || needed != size) {
        char text[96];
        snprintf(text, sizeof text, "%zu rows of %zu bytes do not fit %zu bytes", height, row, size);
        png_error(png, text);
    }
    for (int pass = 0; pass < passes; pass++) {
        for (size_t y = 0; y < height; y++) png_read_row(png, pixels + y * row, NULL);
    }
    // Reads on to IEND, so that what comes after the pixels is checked as well.
    png_read_end(png, info);
    png_destroy_read_struct(&png, &info, NULL);
    // What libpng would paper over with a warning must not become a label.
    return message->text[0] == '\0';
}

// MARK: - Writing

static void put(png_structp png, png_bytep bytes, size_t count) {
    adashare_png_data *file = png_get_io_ptr(png);
    if (count > file->capacity - file->count) {
        const size_t capacity = 2 * (file->capacity + count);
        uint8_t *larger = realloc(file->bytes, capacity);
        if (larger == NULL) png_error(png, "out of memory");
        file->bytes = larger;
        file->capacity = capacity;
    }
    memcpy(file->bytes + file->count, bytes, count);
    file->count += count;
}

static void flush(png_structp png) {
    (void)png;
}

bool adashare_png_write(
    uint32_t width, uint32_t height, adashare_png_color color, int bit_depth, const uint8_t *palette, int colors,
    const uint8_t *pixels, adashare_png_data *file, adashare_png_message *message) {
    message->text[0] = '\0';
    *file = (adashare_png_data){NULL, 0, 0};
    png_infop info = NULL;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, message, on_error, on_warning);
    if (png != NULL) info = png_create_info_struct(png);
    if (info == NULL) {
        keep_first(message, "out of memory");
        png_destroy_write_struct(&png, NULL);
        return false;
    }
    if (setjmp(png_jmpbuf(png)) != 0) {
        png_destroy_write_struct(&png, &info);
        adashare_png_free(file);
        return false;
    }
    png_set_write_fn(png, file, put, flush);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(
        png, info, width, height, bit_depth, (int)color, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
        PNG_FILTER_TYPE_DEFAULT);
    if (color == ADASHARE_PNG_PALETTE) {
        png_color entries[PNG_MAX_PALETTE_LENGTH];
        for (int i = 0; i < colors && i < PNG_MAX_PALETTE_LENGTH; i++) {
            entries[i] = (png_color){palette[3 * i], palette[3 * i + 1], palette[3 * i + 2]};
        }
        png_set_PLTE(png, info, entries, colors);
    }
    png_set_sRGB(png, info, PNG_sRGB_INTENT_PERCEPTUAL);
    png_write_info(png, info);
    const size_t row = png_get_rowbytes(png, info);
    for (size_t y = 0; y < height; y++) png_write_row(png, pixels + y * row);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return true;
}

void adashare_png_free(adashare_png_data *file) {
    free(file->bytes);
    *file = (adashare_png_data){NULL, 0, 0};
}
