// What the tools of a request say of their arguments.
#include <string.h>

#include "text/answer_syntax.h"

const json_t *sc_answer_tool_named(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i), *function = json_object_get(tool, "function");
        if (function) tool = function;
        const char *has = json_string_value(json_object_get(tool, "name"));
        if (has && strcmp(has, name) == 0) return tool;
    }
    return NULL;
}

const json_t *sc_answer_tool_parameters(const json_t *tool)
{
    const json_t *parameters = json_object_get(tool, "parameters");
    return json_is_object(parameters) ? parameters : NULL;
}

// Which types a schema allows, as bits.
enum { STRINGS = 1, OTHERS = 2 };

static unsigned types_of(const json_t *schema, unsigned depth);

static unsigned types_of_name(const json_t *name)
{
    const char *text = json_string_value(name);
    return !text ? STRINGS | OTHERS : strcmp(text, "string") == 0 ? STRINGS : OTHERS;
}

static unsigned types_of_all(const json_t *schemas, unsigned depth)
{
    unsigned types = 0;
    for (size_t i = 0; i < json_array_size(schemas); i++) types |= types_of(json_array_get(schemas, i), depth);
    return types;
}

static unsigned types_of_values(const json_t *values)
{
    unsigned types = 0;
    for (size_t i = 0; i < json_array_size(values); i++)
        types |= json_is_string(json_array_get(values, i)) ? STRINGS : OTHERS;
    return types;
}

static unsigned types_of(const json_t *schema, unsigned depth)
{
    enum { DEPTH_MAX = 16 };
    const json_t *type = json_object_get(schema, "type"), *enumeration = json_object_get(schema, "enum");
    const json_t *constant = json_object_get(schema, "const");
    unsigned types = 0;
    for (size_t i = 0; i < json_array_size(type); i++) types |= types_of_name(json_array_get(type, i));
    if (json_is_string(type)) types = types_of_name(type);
    if (types) return json_is_true(json_object_get(schema, "nullable")) ? types | OTHERS : types;
    if (json_array_size(enumeration)) return types_of_values(enumeration);
    if (constant) return json_is_string(constant) ? STRINGS : OTHERS;
    if (depth == DEPTH_MAX) return STRINGS | OTHERS;
    types = types_of_all(json_object_get(schema, "anyOf"), depth + 1);
    types |= types_of_all(json_object_get(schema, "oneOf"), depth + 1);
    return types ? types : STRINGS | OTHERS;
}

uint8_t sc_answer_value_type(const json_t *schema)
{
    unsigned types = json_is_object(schema) ? types_of(schema, 0) : STRINGS | OTHERS;
    return types == STRINGS ? SC_VALUE_STRING : types == OTHERS ? SC_VALUE_JSON : SC_VALUE_ANY;
}
