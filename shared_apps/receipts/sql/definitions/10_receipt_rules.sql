-- A receipt is what a channel said: written once. Only the note of its use is set, and only once, except that a
-- case may turn its receipt into a sale or a refund.
CREATE OR REPLACE FUNCTION public.refuse_receipt_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A receipt is not changed or deleted.' USING ERRCODE = 'KG021';
END
$$;

CREATE OR REPLACE TRIGGER refuse_update BEFORE UPDATE ON public.receipts_receipt FOR EACH ROW
WHEN (
    (OLD.id, OLD.public_id, OLD.account_id, OLD.fact_id, OLD.kind, OLD.amount_minor, OLD.currency, OLD.occurred_at)
        IS DISTINCT FROM
    (NEW.id, NEW.public_id, NEW.account_id, NEW.fact_id, NEW.kind, NEW.amount_minor, NEW.currency, NEW.occurred_at)
    OR (OLD.used_for <> NEW.used_for AND NOT (OLD.used_for = '' OR (OLD.used_for = 'CASE' AND NEW.used_for IN ('SALE', 'REFUND', 'CREDIT'))))
)
EXECUTE FUNCTION public.refuse_receipt_change();

CREATE OR REPLACE TRIGGER refuse_delete BEFORE DELETE ON public.receipts_receipt FOR EACH ROW
EXECUTE FUNCTION public.refuse_receipt_change();
