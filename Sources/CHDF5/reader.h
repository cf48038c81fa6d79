// What the process that reads a file calls; libhdf5 is loaded before it is made.
#ifndef ADASHARE_CHDF5_READER_H
#define ADASHARE_CHDF5_READER_H

#include "CHDF5.h"

// Loads libhdf5, without a call of it. Returns false with a message.
bool reader_load(adashare_hdf5_message *message);

// As in CHDF5.h, by libhdf5 in this process.
bool reader_open(const char *path, int64_t *file, adashare_hdf5_message *message);
bool reader_describe(int64_t file, const char *name, adashare_hdf5_array *array, adashare_hdf5_message *message);
bool reader_read(
    int64_t file, const char *name, uint64_t index, adashare_hdf5_element element, size_t count, void *values,
    adashare_hdf5_message *message);

#endif
