// Parameters as a model's file: GGUF with the tensors that training has and the metadata of the file they came from.
#ifndef SC_TRAIN_MODEL_FILE_H
#define SC_TRAIN_MODEL_FILE_H

#include "formats/gguf_writer.h"
#include "train/parameters.h"

enum sc_part { SC_PART_WEIGHTS, SC_PART_GRADIENTS, SC_PART_MOMENTUM, SC_PART_VARIANCE };

// Where a tensor's rows come from while it is written.
struct sc_parameter_source {
    const struct sc_parameter *parameter;
    enum sc_part part;
    const struct sc_format *format;
    float *row; // room for one row of floats
};

// Sources for the parts of `n_parts` kinds of all parameters, to be freed with free(); NULL: no memory.
struct sc_parameter_source *sc_parameter_sources(const struct sc_parameters *parameters, size_t n_parts);

// Adds one part of every parameter to the writer under `prefix` and the parameter's name; matrices in `format` (NULL:
// F32), where rows do not fill its blocks and in vectors F32. `sources` [parameters->n] live until the file is written.
socle_status sc_parameters_write(const struct sc_parameters *parameters, enum sc_part part, const char *prefix,
                                 const struct sc_format *format, struct sc_parameter_source *sources,
                                 struct sc_gguf_writer *writer, socle_error *err);

// How checkpoints name a parameter's moments: before its own name.
#define SC_MOMENTUM_PREFIX "train.m."
#define SC_VARIANCE_PREFIX "train.v."

// Adds the other tensors of the model's file, as they are, unless they are the moments of a checkpoint: those that no
// op trains (factors of rotary frequencies, what is added to choose experts). Nothing where only adapters are trained.
// The file must live until the writer has written.
socle_status sc_copy_other_tensors(const struct sc_gguf *gguf, const struct sc_parameters *parameters,
                                   struct sc_gguf_writer *writer, socle_error *err);

// Copies the metadata, but for keys that begin with one of `without` (NULL-terminated; NULL: none).
socle_status sc_copy_metadata(const struct sc_gguf *gguf, const char *const *without, struct sc_gguf_writer *writer,
                              socle_error *err);

#endif
