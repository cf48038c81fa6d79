// The one place that includes OpenCL headers; version 1.2 is what every device of interest offers.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
