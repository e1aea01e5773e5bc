-- Why an address is left alone, for operators. Schedulers that do not know the column yet leave it to its default.
ALTER TABLE scheduler.quarantine ADD COLUMN reason text NOT NULL DEFAULT 'a call was lost with its dialler';
