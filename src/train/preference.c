#include "train/trainer.h"

#include "kernels/elementary64.h"

// log(1 + e^x), and 1 / (1 + e^-x).
static double softplus(double x) { return x > 0.0 ? x + sc_log64(1.0 + sc_exp64(-x)) : sc_log64(1.0 + sc_exp64(x)); }
static double sigmoid(double x) { return 1.0 / (1.0 + sc_exp64(-x)); }

static double sum_of(const double *values, const struct sc_batch *batch, size_t sequence)
{
    double sum = 0.0;
    for (size_t row = batch->begins[sequence]; row < batch->begins[sequence + 1]; row++) sum = sum + values[row];
    return sum;
}

double sc_preference_loss(const struct sc_batch *batch, const double *policy, const double *reference, float beta,
                          float share, float *row_weights, size_t *n_right)
{
    double loss = 0.0;
    *n_right = 0;
    for (size_t chosen = 0; chosen + 1 < batch->n_sequences; chosen += 2) {
        double margin = (sum_of(policy, batch, chosen) - sum_of(reference, batch, chosen)) -
                        (sum_of(policy, batch, chosen + 1) - sum_of(reference, batch, chosen + 1));
        double z = (double)beta * margin;
        float weight = (float)((double)beta * sigmoid(-z)) * share;
        loss = loss + softplus(-z);
        if (margin > 0.0) (*n_right)++;
        for (size_t row = batch->begins[chosen]; row_weights && row < batch->begins[chosen + 2]; row++)
            row_weights[row] = row < batch->begins[chosen + 1] ? weight : -weight;
    }
    return loss;
}
