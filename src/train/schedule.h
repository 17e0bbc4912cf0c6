// The learning rate of each step, as a share of its peak.
#ifndef SC_TRAIN_SCHEDULE_H
#define SC_TRAIN_SCHEDULE_H

#include <socle/train.h>

// The rate of step `step`, counted from 1: a line up to the peak over n_warmup steps; then half a cosine down to
// rate * rate_end; or the peak until the last n_decay steps, which fall in a line; or the peak.
float sc_schedule_rate(const socle_train_options *options, uint64_t step);

#endif
