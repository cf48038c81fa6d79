// libpng's simplified API (png_image_*).
#include <png.h>
