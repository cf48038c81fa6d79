// The sources under Kernels/, embedded; files.h lists them.
#include "CKernels.h"

#include <stddef.h>
#include <string.h>

// The texts one after the other, each with a zero at its end.
static const char texts[] = {
#include "files.h"
};

// The list as text: the paths in its quotation marks name the texts, in the same order.
static const char list[] = {
#embed "files.h" suffix(, 0)
};

enum { LONGEST_NAME = 63 };

// Moves past the next path in the list and writes its file's name, without `.cl`; NULL at the end.
static const char *next_name(const char *place, char name[LONGEST_NAME + 1]) {
    const char *start = strchr(place, '"');
    const char *end = start ? strchr(start + 1, '"') : NULL;
    if (!end) return NULL;
    for (const char *slash = start; slash < end; ++slash)
        if (*slash == '/') start = slash;
    size_t length = (size_t)(end - start) - 1;
    if (length > 3 && strncmp(end - 3, ".cl", 3) == 0) length -= 3;
    if (length > LONGEST_NAME) length = LONGEST_NAME;
    memcpy(name, start + 1, length);
    name[length] = 0;
    return end + 1;
}

const char *adashare_kernel_source(const char *name) {
    char known[LONGEST_NAME + 1];
    const char *text = texts;
    for (const char *place = list; (place = next_name(place, known)); text += strlen(text) + 1)
        if (strcmp(known, name) == 0) return text;
    return NULL;
}

const char *adashare_kernel_name(int index) {
    static _Thread_local char name[LONGEST_NAME + 1];
    const char *place = index < 0 ? NULL : list;
    for (int i = 0; place && i <= index; ++i) place = next_name(place, name);
    return place ? name : NULL;
}
