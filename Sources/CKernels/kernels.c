#include "CKernels.h"

#include <stddef.h>
#include <string.h>

static const char k_prelude[] = {
#embed "../../Kernels/prelude.cl"
    , 0};
static const char k_elementwise[] = {
#embed "../../Kernels/elementwise.cl"
    , 0};
static const char k_residual[] = {
#embed "../../Kernels/residual.cl"
    , 0};
static const char k_batchnorm[] = {
#embed "../../Kernels/batchnorm.cl"
    , 0};
static const char k_pooling[] = {
#embed "../../Kernels/pooling.cl"
    , 0};
static const char k_resize[] = {
#embed "../../Kernels/resize.cl"
    , 0};
static const char k_random[] = {
#embed "../../Kernels/random.cl"
    , 0};
static const char k_reduction[] = {
#embed "../../Kernels/reduction.cl"
    , 0};
static const char k_losses[] = {
#embed "../../Kernels/losses.cl"
    , 0};
static const char k_policy[] = {
#embed "../../Kernels/policy.cl"
    , 0};
static const char k_optimizers[] = {
#embed "../../Kernels/optimizers.cl"
    , 0};
static const char k_matrix_units[] = {
#embed "../../Kernels/matrix_units.cl"
    , 0};
static const char k_convolution_pack[] = {
#embed "../../Kernels/convolution_pack.cl"
    , 0};
static const char k_convolution_cpu[] = {
#embed "../../Kernels/convolution_cpu.cl"
    , 0};
static const char k_convolution_cpu_weights[] = {
#embed "../../Kernels/convolution_cpu_weights.cl"
    , 0};
static const char k_peak[] = {
#embed "../../Kernels/peak.cl"
    , 0};
static const char k_convolution_winograd[] = {
#embed "../../Kernels/convolution_winograd.cl"
    , 0};
static const char k_convolution_winograd_products_cpu[] = {
#embed "../../Kernels/convolution_winograd_products_cpu.cl"
    , 0};
static const char k_convolution_gpu[] = {
#embed "../../Kernels/convolution_gpu.cl"
    , 0};
static const char k_convolution_winograd_products_gpu[] = {
#embed "../../Kernels/convolution_winograd_products_gpu.cl"
    , 0};
static const char k_matrix_units_h[] = {
#embed "../../Kernels/matrix_units.h"
    , 0};
static const char k_tile_h[] = {
#embed "../../Kernels/tile.h"
    , 0};
static const char k_tile_float_h[] = {
#embed "../../Kernels/tile_float.h"
    , 0};
static const char k_tile_bfloat16_h[] = {
#embed "../../Kernels/tile_bfloat16.h"
    , 0};
static const char k_winograd_transforms_h[] = {
#embed "../../Kernels/winograd_transforms.h"
    , 0};

static const struct {
    const char *name, *source;
} kernels[] = {
    {"prelude", k_prelude},
    {"elementwise", k_elementwise},
    {"residual", k_residual},
    {"batchnorm", k_batchnorm},
    {"pooling", k_pooling},
    {"resize", k_resize},
    {"random", k_random},
    {"reduction", k_reduction},
    {"losses", k_losses},
    {"policy", k_policy},
    {"optimizers", k_optimizers},
    {"matrix_units", k_matrix_units},
    {"convolution_pack", k_convolution_pack},
    {"convolution_cpu", k_convolution_cpu},
    {"convolution_cpu_weights", k_convolution_cpu_weights},
    {"peak", k_peak},
    {"convolution_winograd", k_convolution_winograd},
    {"convolution_winograd_products_cpu", k_convolution_winograd_products_cpu},
    {"convolution_gpu", k_convolution_gpu},
    {"convolution_winograd_products_gpu", k_convolution_winograd_products_gpu},
    {"matrix_units.h", k_matrix_units_h},
    {"tile.h", k_tile_h},
    {"tile_float.h", k_tile_float_h},
    {"tile_bfloat16.h", k_tile_bfloat16_h},
    {"winograd_transforms.h", k_winograd_transforms_h},
};

const char *adashare_kernel_source(const char *name) {
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; ++i)
        if (strcmp(kernels[i].name, name) == 0) return kernels[i].source;
    return NULL;
}

const char *adashare_kernel_name(int index) {
    return index >= 0 && (size_t)index < sizeof kernels / sizeof *kernels ? kernels[index].name : NULL;
}
