// The OpenCL sources under Kernels/, embedded at build time.
#ifndef ADASHARE_CKERNELS_H
#define ADASHARE_CKERNELS_H

/// The text of `Kernels/<name>.cl`, or of `Kernels/<name>` for a name with `.h`; null-terminated, or NULL when there is
/// no such file.
const char *adashare_kernel_source(const char *name);

/// The name of file number `index`, without `.cl`, or NULL past the last one; valid until the thread's next call.
const char *adashare_kernel_name(int index);

#endif
