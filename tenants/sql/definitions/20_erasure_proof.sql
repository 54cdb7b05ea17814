-- The proof of an erasure: once it is done it is never changed, and it is never removed.
CREATE OR REPLACE FUNCTION public.refuse_proof_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The proof of an erasure is not changed or deleted.' USING ERRCODE = 'KG031';
END
$$;

CREATE OR REPLACE TRIGGER refuse_update BEFORE UPDATE ON public.tenants_erasurerecord FOR EACH ROW
WHEN (OLD.state = 'DONE') EXECUTE FUNCTION public.refuse_proof_change();

CREATE OR REPLACE TRIGGER refuse_delete BEFORE DELETE ON public.tenants_erasurerecord FOR EACH ROW
EXECUTE FUNCTION public.refuse_proof_change();
