// Forms that answers are held to, compiled once: clients send the same schema with every request, and a compiled one
// knows masks of tokens already. The last few of a model are kept. Any thread may call.
#ifndef SC_SERVER_KEPT_FORMS_H
#define SC_SERVER_KEPT_FORMS_H

#include <socle/socle.h>

struct kept_forms;

struct kept_form {
    socle_constraint *constraint;
    // Of kept_forms:
    socle_constraint_kind kind;
    char *source;
    size_t n_bytes;
    uint32_t n_users;
    uint64_t last_used;
    struct kept_form *next;
};

struct kept_forms *kept_forms_create(void);     // NULL: no memory
void kept_forms_free(struct kept_forms *forms); // none may be in use; NULL is fine

// The form, compiled or found; give it back. Errors: those of socle_constraint_create.
socle_status kept_forms_take(struct kept_forms *forms, const socle_model *model, socle_constraint_kind kind,
                             const char *source, size_t n_bytes, struct kept_form **out, socle_error *err);
void kept_forms_give(struct kept_forms *forms, struct kept_form *form); // NULL is fine

#endif
