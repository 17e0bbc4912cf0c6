// Importance matrices: for each weight of a matrix product, the mean square of the input element that it multiplies.
//
// An error dw in a weight changes a product by dw * x; over many inputs the squared change is dw^2 * mean(x^2). So
// mean(x^2) is how much a weight's squared error matters, and the encoders take it as such (tensor/format.h).
//
// The file is a GGUF file as llama.cpp's imatrix tool writes it, so that files interchange:
//
//     general.type = "imatrix", imatrix.datasets [text], imatrix.chunk_count, imatrix.chunk_size
//     for each weight:  <name>.in_sum2  F32 [k, matrices]   sums of squares
//                       <name>.counts   F32 [1, matrices]   of how many inputs; or one for all matrices, [1, 1],
//                                                           with in_sum2 as [k * matrices, 1]
#ifndef SC_ENGINE_IMATRIX_H
#define SC_ENGINE_IMATRIX_H

#include "engine/session.h"

struct sc_imatrix;

// ---- reading

// Reads and checks a file. Errors: as sc_gguf_open; SOCLE_BAD_FILE for what is no importance matrix.
socle_status sc_imatrix_open(const char *path, struct sc_imatrix **out, socle_error *err);
void sc_imatrix_free(struct sc_imatrix *imatrix); // NULL is fine

uint32_t sc_imatrix_n_entries(const struct sc_imatrix *imatrix);
uint32_t sc_imatrix_n_chunks(const struct sc_imatrix *imatrix);
struct sc_text sc_imatrix_dataset(const struct sc_imatrix *imatrix); // the first; empty when the file names none

// Whether every entry names a tensor of this model; else SOCLE_BAD_FILE.
socle_status sc_imatrix_check(const struct sc_imatrix *imatrix, const struct sc_gguf *gguf, socle_error *err);
// The means for a tensor, [matrices][k], which live as long as the imatrix; *out = NULL where it has none. A matrix
// that no input reached counts alike everywhere. Errors: SOCLE_BAD_FILE when the sizes differ.
socle_status sc_imatrix_find(const struct sc_imatrix *imatrix, const struct sc_tensor *tensor, const float **out,
                             socle_error *err);

// ---- gathering

// An empty one for the products of this model, which must outlive it.
socle_status sc_imatrix_create(const struct sc_model *model, struct sc_imatrix **out, socle_error *err);
// Whether it is worth computing logits for its sake: the output's product sees only the tokens that ask for them.
bool sc_imatrix_wants_logits(const struct sc_imatrix *imatrix);
// An observer (program/execute.h) that adds the inputs of products to the imatrix, its context. The sums do not depend
// on threads or batches.
void sc_imatrix_observe(void *imatrix, const struct sc_run *run, const struct sc_op *op);
// Writes the file. Errors: SOCLE_NOT_FINITE; those of sc_gguf_writer_write.
socle_status sc_imatrix_write(const struct sc_imatrix *imatrix, const char *path, const char *dataset,
                              uint32_t n_chunks, uint32_t chunk_size, socle_error *err);

#endif
