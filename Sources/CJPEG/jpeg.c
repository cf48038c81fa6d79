#include "CJPEG.h"

#include <setjmp.h>
#include <stdio.h>
// After stdio.h, which it needs.
#include <jpeglib.h>

#include <jerror.h>

_Static_assert(
    sizeof((adashare_jpeg_message){}.text) >= JMSG_LENGTH_MAX, "every message of libjpeg has room in one of these");

/// libjpeg's place for errors, and where they lead.
typedef struct {
    struct jpeg_error_mgr base;
    jmp_buf exit;
    adashare_jpeg_message *message;
} errors;

static void on_error(j_common_ptr jpeg) {
    errors *to = (errors *)jpeg->err;
    to->base.format_message(jpeg, to->message->text);
    longjmp(to->exit, 1);
}

// What libjpeg would paper over with a warning must not become a picture. Levels from 0 are traces.
static void on_message(j_common_ptr jpeg, int level) {
    if (level < 0) on_error(jpeg);
}

static void print_nothing(j_common_ptr jpeg) {
    (void)jpeg;
}

static void begin(struct jpeg_decompress_struct *jpeg, errors *to, adashare_jpeg_message *message) {
    message->text[0] = '\0';
    jpeg->err = jpeg_std_error(&to->base);
    to->base.error_exit = on_error;
    to->base.emit_message = on_message;
    to->base.output_message = print_nothing;
    to->message = message;
}

static adashare_jpeg_header describe(const struct jpeg_decompress_struct *jpeg) {
    adashare_jpeg_color color = ADASHARE_JPEG_OTHER;
    switch (jpeg->jpeg_color_space) {
    case JCS_GRAYSCALE: color = ADASHARE_JPEG_GREY; break;
    case JCS_RGB:
    case JCS_YCbCr: color = ADASHARE_JPEG_RGB; break;
    case JCS_CMYK:
    case JCS_YCCK: color = ADASHARE_JPEG_CMYK; break;
    default: break;
    }
    return (adashare_jpeg_header){
        .width = jpeg->image_width,
        .height = jpeg->image_height,
        .bit_depth = jpeg->data_precision,
        .color = color,
        .is_arithmetic = jpeg->arith_code,
    };
}

bool adashare_jpeg_has_signature(const uint8_t *bytes, size_t count) {
    return count >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

bool adashare_jpeg_read_header(
    const uint8_t *bytes, size_t count, adashare_jpeg_header *header, adashare_jpeg_message *message) {
    struct jpeg_decompress_struct jpeg = {0};
    errors to;
    begin(&jpeg, &to, message);
    if (setjmp(to.exit) != 0) {
        const bool is_known = to.base.msg_code == JERR_BAD_PRECISION;
        if (is_known) *header = describe(&jpeg);
        jpeg_destroy_decompress(&jpeg);
        return is_known;
    }
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, bytes, count);
    jpeg_read_header(&jpeg, TRUE);
    *header = describe(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return true;
}

// A file of a few thousand bytes can ask for its coefficients to be gone through for days. Programs write ten scans;
// libjpeg-turbo's documentation advises a limit of 500.
static void count_scans(j_common_ptr common) {
    const j_decompress_ptr jpeg = (j_decompress_ptr)common;
    if (jpeg->input_scan_number <= 500) return;
    adashare_jpeg_message *message = ((errors *)common->err)->message;
    snprintf(message->text, sizeof message->text, "more than 500 scans");
    longjmp(((errors *)common->err)->exit, 1);
}

bool adashare_jpeg_read_pixels(
    const uint8_t *bytes, size_t count, uint8_t *pixels, size_t size, adashare_jpeg_message *message) {
    struct jpeg_decompress_struct jpeg = {0};
    struct jpeg_progress_mgr progress = {.progress_monitor = count_scans};
    errors to;
    begin(&jpeg, &to, message);
    if (setjmp(to.exit) != 0) {
        jpeg_destroy_decompress(&jpeg);
        return false;
    }
    jpeg_create_decompress(&jpeg);
    jpeg.progress = &progress;
    jpeg_mem_src(&jpeg, bytes, count);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    // The slow one is exact integer arithmetic, the same on every machine.
    jpeg.dct_method = JDCT_ISLOW;
    jpeg_calc_output_dimensions(&jpeg);
    const size_t width = jpeg.output_width, height = jpeg.output_height;
    size_t needed;
    if (__builtin_mul_overflow(width * 3, height, &needed) || needed != size || jpeg.output_components != 3) {
        snprintf(
            message->text, sizeof message->text, "%zu×%zu pixels (height × width) do not fit %zu bytes", height, width,
            size);
        longjmp(to.exit, 1);
    }
    jpeg_start_decompress(&jpeg);
    while (jpeg.output_scanline < height) {
        JSAMPROW row = pixels + jpeg.output_scanline * width * 3;
        jpeg_read_scanlines(&jpeg, &row, 1);
    }
    // Reads on to the end marker, so that a file without one is known to be cut off.
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return true;
}
