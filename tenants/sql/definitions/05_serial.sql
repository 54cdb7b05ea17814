-- Names of tenant schemas and roles: s_0000001, … never reused, never a shop's name.
CREATE SEQUENCE IF NOT EXISTS public.substation_schema_serial AS bigint;
GRANT USAGE ON SEQUENCE public.substation_schema_serial TO kameng_main;
