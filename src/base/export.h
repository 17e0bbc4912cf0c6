// Marks what the shared library exports; src/api/socle.map lists the same names.
#ifndef SC_BASE_EXPORT_H
#define SC_BASE_EXPORT_H

#define SC_EXPORT __attribute__((visibility("default")))

#endif
