// A model from nothing: its file, with random weights and the vocabulary of another file.
#ifndef SC_TRAIN_NEW_MODEL_H
#define SC_TRAIN_NEW_MODEL_H

#include <socle/train.h>

#include "formats/gguf_writer.h"

// Adds what a model of the options' shape has to `writer`: metadata, the vocabulary's keys, and tensors whose rows are
// drawn while the file is written. Matrices are near normal with deviation 0.02, those that add to the residual 0.02 /
// sqrt(2 layers); norms are 1, biases 0. *memory is what the tensors borrow, to be freed with free() after the last
// write. Errors: SOCLE_BAD_ARGUMENT (a shape that makes no sense, a family that cannot be made), SOCLE_NO_MEMORY.
socle_status sc_new_model(const socle_train_options *options, const struct sc_gguf *vocabulary,
                          struct sc_gguf_writer *writer, void **memory, socle_error *err);

#endif
