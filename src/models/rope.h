// Rotary frequencies of a model.
#ifndef SC_MODELS_ROPE_H
#define SC_MODELS_ROPE_H

#include "models/loader.h"

// Makes the tables of layers that see everything and of layers with a window.
void sc_load_rope(struct sc_loader *l);

#endif
