#include "server/kept_forms.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { UNUSED_MAX = 8 }; // each may hold 32 MiB of masks

struct kept_forms {
    pthread_mutex_t mutex;
    struct kept_form *first;
    uint64_t clock;
};

struct kept_forms *kept_forms_create(void)
{
    struct kept_forms *forms = calloc(1, sizeof *forms);
    if (forms) pthread_mutex_init(&forms->mutex, NULL);
    return forms;
}

static void free_form(struct kept_form *form)
{
    if (!form) return;
    socle_constraint_free(form->constraint);
    free(form->source);
    free(form);
}

void kept_forms_free(struct kept_forms *forms)
{
    if (!forms) return;
    for (struct kept_form *form; (form = forms->first);) {
        forms->first = form->next;
        free_form(form);
    }
    pthread_mutex_destroy(&forms->mutex);
    free(forms);
}

static struct kept_form *find(struct kept_forms *forms, socle_constraint_kind kind, const char *source, size_t n_bytes)
{
    pthread_mutex_lock(&forms->mutex);
    struct kept_form *form = forms->first;
    while (form && !(form->kind == kind && form->n_bytes == n_bytes && memcmp(form->source, source, n_bytes) == 0))
        form = form->next;
    if (form) form->n_users++;
    pthread_mutex_unlock(&forms->mutex);
    return form;
}

static socle_status make(const socle_model *model, socle_constraint_kind kind, const char *source, size_t n_bytes,
                         struct kept_form **out, socle_error *err)
{
    struct kept_form *form = calloc(1, sizeof *form);
    if (form) form->source = malloc(n_bytes + 1);
    if (!form || !form->source) {
        free_form(form);
        return sc_fail_memory(err, sizeof *form + n_bytes, "a form");
    }
    memcpy(form->source, source, n_bytes);
    form->kind = kind;
    form->n_bytes = n_bytes;
    form->n_users = 1;
    socle_status status = socle_constraint_create(model, kind, source, n_bytes, &form->constraint, err);
    if (status == SOCLE_OK) *out = form;
    else free_form(form);
    return status;
}

socle_status kept_forms_take(struct kept_forms *forms, const socle_model *model, socle_constraint_kind kind,
                             const char *source, size_t n_bytes, struct kept_form **out, socle_error *err)
{
    source = source ? source : "";
    *out = find(forms, kind, source, n_bytes);
    if (*out) return SOCLE_OK;
    SC_TRY(make(model, kind, source, n_bytes, out, err)); // two threads may make the same: both are kept a while
    pthread_mutex_lock(&forms->mutex);
    (*out)->next = forms->first;
    forms->first = *out;
    pthread_mutex_unlock(&forms->mutex);
    return SOCLE_OK;
}

// Takes the longest unused out when there are more of them than are kept.
static struct kept_form *take_surplus(struct kept_forms *forms)
{
    struct kept_form **oldest = NULL;
    size_t n_unused = 0;
    for (struct kept_form **at = &forms->first; *at; at = &(*at)->next) {
        if ((*at)->n_users) continue;
        n_unused++;
        if (!oldest || (*at)->last_used < (*oldest)->last_used) oldest = at;
    }
    if (n_unused <= UNUSED_MAX) return NULL;
    struct kept_form *surplus = *oldest;
    *oldest = surplus->next;
    return surplus;
}

void kept_forms_give(struct kept_forms *forms, struct kept_form *form)
{
    if (!form) return;
    pthread_mutex_lock(&forms->mutex);
    form->n_users--;
    form->last_used = ++forms->clock;
    struct kept_form *surplus = take_surplus(forms);
    pthread_mutex_unlock(&forms->mutex);
    free_form(surplus);
}
