// Socle: a foundation for artificial intelligence, independent, controllable, collaborative.
//
//     socle_model *model;      socle_model_load("model.gguf", &model, &err)
//     socle_session *session;  socle_session_create(model, NULL, &session, &err)
//     socle_generate(session, &generation, &err)
//
// examples/ has programs of a page. Link with `pkg-config --cflags --libs socle`.
#ifndef SOCLE_SOCLE_H
#define SOCLE_SOCLE_H

#include "adapter.h"
#include "constraint.h"
#include "convert.h"
#include "error.h"
#include "machine.h"
#include "model.h"
#include "profile.h"
#include "quantize.h"
#include "scheduler.h"
#include "session.h"
#include "tokenizer_train.h"
#include "train.h"

#endif
